"""What a job raises to say itself how its attempt ends.

None of them is an error: each ends the attempt at once and decides what becomes of the job.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncjobs.clock import check_wait

if TYPE_CHECKING:
    from datetime import timedelta


class Verdict(Exception):  # noqa: N818 - not an error
    """Any of the verdicts of this module."""


class Retry(Verdict):
    """The attempt failed; try again, after *after* if that is given, else as the backoff says.

    It counts as a failed attempt: after max_attempts the job is `failed`. *after* is seconds
    or a timedelta. Raises WaitError for what is no duration.
    """

    def __init__(self, message: str = "", *, after: float | timedelta | None = None) -> None:
        self.message = message
        self.after, _ = check_wait(after, None)
        super().__init__(message)

    def __reduce__(self) -> tuple[object, ...]:
        return _retry, (self.message, self.after)


class Snooze(Verdict):
    """Not now: run the job again after *delay*, at no cost. The attempt is not counted.

    *delay* is seconds or a timedelta. Raises WaitError for what is no duration.
    """

    def __init__(self, delay: float | timedelta) -> None:
        found, _ = check_wait(delay, None)
        self.delay: float = found or 0.0
        super().__init__(self.delay)


class Cancel(Verdict):
    """Nobody needs this any more: the job becomes `cancelled`, and *reason* is kept with it."""

    def __init__(self, reason: str = "") -> None:
        self.reason = reason
        super().__init__(reason)


def _retry(message: str, after: float | None) -> Retry:
    return Retry(message, after=after)
