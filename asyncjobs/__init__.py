"""Background jobs for async Python web apps, on the PostgreSQL you already have.

Importing this package costs a few milliseconds: each name is imported from its module when it
is first used. Type checkers see plain imports.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncjobs.backoff import constant, exponential, linear, retry_delay
    from asyncjobs.config import WorkerGroup
    from asyncjobs.context import JobContext, current_job
    from asyncjobs.errors import (
        AppNotFoundError,
        ArgumentError,
        AsyncJobsError,
        AttemptError,
        AttemptsExhaustedError,
        BatchTooLargeError,
        ConcurrencyKeyError,
        ConfigError,
        ConnectionKindError,
        CronError,
        DaemonError,
        DatabaseNotConfiguredError,
        DeafWorkerError,
        DetachedJobError,
        DuplicateJobError,
        EmbeddedPostgresError,
        ExpiredError,
        JobCancelledError,
        JobExistsError,
        JobFailedError,
        JobGoneError,
        JobTimeoutError,
        KeyInDoubtError,
        LeaseLostError,
        MiddlewareError,
        MigrationChangedError,
        NotAJobError,
        NotCommittedError,
        NotMigratedError,
        NotOpenError,
        NotPermittedError,
        PostgresNotFoundError,
        ProcessDiedError,
        ProgressError,
        RecurrenceError,
        ResultError,
        ResultNotKeptError,
        ResultTimeoutError,
        RowRefusedError,
        ScheduleError,
        SchemaTooNewError,
        SelfCancelledError,
        StorageError,
        StorageUnavailableError,
        StoredArgumentsError,
        StoredResultError,
        TransactionError,
        UnknownAdapterError,
        UnknownJobError,
        UnknownNameError,
        UnknownOptionError,
        UnknownQueueError,
        UnknownScheduleError,
        UnknownSettingError,
        UnknownTimezoneError,
        UnknownWorkerError,
        WaitError,
        WaitingError,
        WorkerStuckError,
    )
    from asyncjobs.filters import JobFilter
    from asyncjobs.hooks import Hooks
    from asyncjobs.job import AsyncJob, Job, JobCall, ThreadJob
    from asyncjobs.limits import Queue, RateLimit
    from asyncjobs.manager import JobManager
    from asyncjobs.schedule_types import Schedule
    from asyncjobs.scheduled import JobEvent, ScheduledJob
    from asyncjobs.scheduler import Scheduler
    from asyncjobs.schedules import Schedules
    from asyncjobs.storage.memory import MemoryAdapter
    from asyncjobs.storage.postgres import Capabilities, PostgresAdapter
    from asyncjobs.types import JobRecord, JobState, NewJob, Pause
    from asyncjobs.verdicts import Cancel, Retry, Snooze
    from asyncjobs.workers import Workers

__all__ = [
    "AppNotFoundError",
    "ArgumentError",
    "AsyncJob",
    "AsyncJobsError",
    "AttemptError",
    "AttemptsExhaustedError",
    "BatchTooLargeError",
    "Cancel",
    "Capabilities",
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
    "Hooks",
    "Job",
    "JobCall",
    "JobCancelledError",
    "JobContext",
    "JobEvent",
    "JobExistsError",
    "JobFailedError",
    "JobFilter",
    "JobGoneError",
    "JobManager",
    "JobRecord",
    "JobState",
    "JobTimeoutError",
    "KeyInDoubtError",
    "LeaseLostError",
    "MemoryAdapter",
    "MiddlewareError",
    "MigrationChangedError",
    "NewJob",
    "NotAJobError",
    "NotCommittedError",
    "NotMigratedError",
    "NotOpenError",
    "NotPermittedError",
    "Pause",
    "PostgresAdapter",
    "PostgresNotFoundError",
    "ProcessDiedError",
    "ProgressError",
    "Queue",
    "RateLimit",
    "RecurrenceError",
    "ResultError",
    "ResultNotKeptError",
    "ResultTimeoutError",
    "Retry",
    "RowRefusedError",
    "Schedule",
    "ScheduleError",
    "ScheduledJob",
    "Scheduler",
    "Schedules",
    "SchemaTooNewError",
    "SelfCancelledError",
    "Snooze",
    "StorageError",
    "StorageUnavailableError",
    "StoredArgumentsError",
    "StoredResultError",
    "ThreadJob",
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
    "WorkerGroup",
    "WorkerStuckError",
    "Workers",
    "constant",
    "current_job",
    "exponential",
    "linear",
    "retry_delay",
]

_HOMES = {
    "AsyncJob": "job",
    "Cancel": "verdicts",
    "Capabilities": "storage.postgres",
    "Hooks": "hooks",
    "Job": "job",
    "JobCall": "job",
    "JobContext": "context",
    "JobEvent": "scheduled",
    "JobFilter": "filters",
    "JobManager": "manager",
    "JobRecord": "types",
    "JobState": "types",
    "MemoryAdapter": "storage.memory",
    "NewJob": "types",
    "Pause": "types",
    "PostgresAdapter": "storage.postgres",
    "Queue": "limits",
    "RateLimit": "limits",
    "Retry": "verdicts",
    "Schedule": "schedule_types",
    "ScheduledJob": "scheduled",
    "Scheduler": "scheduler",
    "Schedules": "schedules",
    "Snooze": "verdicts",
    "ThreadJob": "job",
    "WorkerGroup": "config",
    "Workers": "workers",
    "constant": "backoff",
    "current_job": "context",
    "exponential": "backoff",
    "linear": "backoff",
    "retry_delay": "backoff",
}
"""The module of each name that is no error, as type checkers see it above."""

if not TYPE_CHECKING:  # a type checker would take a misspelt name for one of these

    def __getattr__(name: str) -> Any:
        """Import *name* from where it is, and keep it."""
        if name == "errors":
            return import_module("asyncjobs.errors")
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"asyncjobs.{_HOMES.get(name, 'errors')}"), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
