"""Which arguments a test expects of an enqueued job."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from asyncjobs.job import JobCall

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncjobs.job import Job


def expected_arguments(
    job: Job[..., Any] | JobCall[Any], args: Sequence[Any] | Mapping[str, Any] | None
) -> dict[str, Any] | None:
    """Return *args*, or those of a call, as they would be stored: a date compares with a date.

    Raises TypeError or ArgumentError for arguments that the job does not take.
    """
    if isinstance(job, JobCall):
        if args is not None:
            raise TypeError("give args with a job, or a call that has them, not both")
        return _decoded(job.encode())
    if args is None:
        return None
    if isinstance(args, Mapping):
        return {name: _part(job, name, value) for name, value in args.items()}
    return _decoded(JobCall(job, tuple(args), {}).take().encode())


def _part(job: Job[..., Any], name: str, value: Any) -> Any:
    if name not in job.codec.signature.parameters:
        known = ", ".join(job.codec.signature.parameters)
        raise TypeError(f"job {job.name!r} has no argument {name!r} (it has: {known or 'none'})")
    return job.codec.encode_part(name, value)


def _decoded(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found


def fits(
    job: Job[..., Any],
    stored: dict[str, Any],
    expected: dict[str, Any] | None,
    *,
    is_whole: bool,
) -> bool:
    """Return whether *stored* arguments are those *expected*, or, unless whole, have them.

    One that is not given is its default.
    """
    if expected is None:
        return True
    defaults = job.codec.stored_defaults
    stored = {**defaults, **stored}
    if is_whole:
        return stored == {**defaults, **expected}
    return all(name in stored and stored[name] == value for name, value in expected.items())
