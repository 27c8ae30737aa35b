"""Every error of this package, and what each one means for the job at hand.

::

    AsyncJobsError
    ├── ConfigError (ValueError)
    │   ├── UnknownNameError (LookupError)
    │   │   ├── UnknownQueueError
    │   │   ├── UnknownAdapterError
    │   │   ├── UnknownOptionError (TypeError)
    │   │   ├── UnknownSettingError
    │   │   ├── UnknownTimezoneError
    │   │   ├── UnknownScheduleError
    │   │   └── UnknownJobError
    │   ├── RecurrenceError
    │   │   └── CronError
    │   ├── DuplicateJobError
    │   ├── DatabaseNotConfiguredError
    │   └── AppNotFoundError
    ├── ScheduleError: nothing was stored
    │   ├── WaitError (ValueError)
    │   ├── ArgumentError (TypeError)
    │   ├── ConcurrencyKeyError (ValueError)
    │   ├── BatchTooLargeError (ValueError)
    │   ├── JobExistsError
    │   ├── NotAJobError (TypeError)
    │   ├── ConnectionKindError (TypeError)
    │   ├── MiddlewareError
    │   └── NotOpenError (RuntimeError)
    ├── AttemptError: the attempt of a job failed, not by the job's own exception
    │   ├── StoredArgumentsError
    │   ├── ResultError
    │   ├── ProgressError (ValueError)
    │   ├── JobTimeoutError (TimeoutError)
    │   ├── SelfCancelledError
    │   ├── ExpiredError
    │   ├── ProcessDiedError
    │   ├── AttemptsExhaustedError
    │   ├── LeaseLostError
    │   └── NotCommittedError
    ├── WaitingError: there is no result to be had of a job
    │   ├── JobFailedError
    │   ├── JobCancelledError
    │   ├── JobGoneError (LookupError)
    │   ├── ResultNotKeptError
    │   ├── ResultTimeoutError (TimeoutError)
    │   ├── StoredResultError
    │   └── DetachedJobError (RuntimeError)
    ├── TransactionError (RuntimeError)
    ├── StorageError
    │   ├── StorageUnavailableError (ConnectionError)
    │   ├── RowRefusedError
    │   ├── KeyInDoubtError
    │   ├── NotPermittedError (PermissionError)
    │   ├── NotMigratedError
    │   ├── SchemaTooNewError
    │   └── MigrationChangedError
    ├── WorkerStuckError
    ├── UnknownWorkerError (LookupError)
    ├── DeafWorkerError
    ├── DaemonError
    └── EmbeddedPostgresError
        └── PostgresNotFoundError

The facts of an error are attributes. Every error survives pickling.
"""

from asyncjobs.errors.attempts import (
    AttemptError,
    AttemptsExhaustedError,
    ExpiredError,
    JobTimeoutError,
    LeaseLostError,
    NotCommittedError,
    ProcessDiedError,
    ProgressError,
    ResultError,
    SelfCancelledError,
    StoredArgumentsError,
    TransactionError,
)
from asyncjobs.errors.base import (
    AsyncJobsError,
)
from asyncjobs.errors.processes import (
    DaemonError,
    DeafWorkerError,
    EmbeddedPostgresError,
    PostgresNotFoundError,
    UnknownWorkerError,
    WorkerStuckError,
)
from asyncjobs.errors.scheduling import (
    ArgumentError,
    BatchTooLargeError,
    ConcurrencyKeyError,
    ConnectionKindError,
    JobExistsError,
    MiddlewareError,
    NotAJobError,
    NotOpenError,
    ScheduleError,
    WaitError,
)
from asyncjobs.errors.settings import (
    AppNotFoundError,
    ConfigError,
    CronError,
    DatabaseNotConfiguredError,
    DuplicateJobError,
    RecurrenceError,
    UnknownAdapterError,
    UnknownJobError,
    UnknownNameError,
    UnknownOptionError,
    UnknownQueueError,
    UnknownScheduleError,
    UnknownSettingError,
    UnknownTimezoneError,
)
from asyncjobs.errors.storage import (
    KeyInDoubtError,
    MigrationChangedError,
    NotMigratedError,
    NotPermittedError,
    RowRefusedError,
    SchemaTooNewError,
    StorageError,
    StorageUnavailableError,
)
from asyncjobs.errors.waiting import (
    DetachedJobError,
    JobCancelledError,
    JobFailedError,
    JobGoneError,
    ResultNotKeptError,
    ResultTimeoutError,
    StoredResultError,
    WaitingError,
)

__all__ = [
    "AppNotFoundError",
    "ArgumentError",
    "AsyncJobsError",
    "AttemptError",
    "AttemptsExhaustedError",
    "BatchTooLargeError",
    "ConcurrencyKeyError",
    "ConfigError",
    "ConnectionKindError",
    "CronError",
    "DaemonError",
    "DatabaseNotConfiguredError",
    "DeafWorkerError",
    "DetachedJobError",
    "DuplicateJobError",
    "EmbeddedPostgresError",
    "ExpiredError",
    "JobCancelledError",
    "JobExistsError",
    "JobFailedError",
    "JobGoneError",
    "JobTimeoutError",
    "KeyInDoubtError",
    "LeaseLostError",
    "MiddlewareError",
    "MigrationChangedError",
    "NotAJobError",
    "NotCommittedError",
    "NotMigratedError",
    "NotOpenError",
    "NotPermittedError",
    "PostgresNotFoundError",
    "ProcessDiedError",
    "ProgressError",
    "RecurrenceError",
    "ResultError",
    "ResultNotKeptError",
    "ResultTimeoutError",
    "RowRefusedError",
    "ScheduleError",
    "SchemaTooNewError",
    "SelfCancelledError",
    "StorageError",
    "StorageUnavailableError",
    "StoredArgumentsError",
    "StoredResultError",
    "TransactionError",
    "UnknownAdapterError",
    "UnknownJobError",
    "UnknownNameError",
    "UnknownOptionError",
    "UnknownQueueError",
    "UnknownScheduleError",
    "UnknownSettingError",
    "UnknownTimezoneError",
    "UnknownWorkerError",
    "WaitError",
    "WaitingError",
    "WorkerStuckError",
]
