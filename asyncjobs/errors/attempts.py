"""An attempt of a job that failed, not by the job's own exception."""

from __future__ import annotations

from asyncjobs.errors.base import AsyncJobsError


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


class TransactionError(AsyncJobsError, RuntimeError):
    """A job's own transaction cannot be had here."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(problem)

    def __str__(self) -> str:
        return f"no transaction of the job's own: {self.problem}"
