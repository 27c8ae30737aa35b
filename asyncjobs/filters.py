"""Which jobs are meant: a value made of keywords, for lists and for what is done to many."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypedDict

from asyncjobs.config import MAX_ATTEMPTS, MAX_PRIORITY, check_whole, explains_options
from asyncjobs.errors import ConfigError
from asyncjobs.storable import STORABLE, is_storable
from asyncjobs.types import JobState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from asyncjobs.types import JobRecord, Json

MAX_ID = 2**63 - 1
MAX_TEXTS = 10_000
"""Names, queues, tags or ids in one filter."""
FINAL = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)


class FilterOptions(TypedDict, total=False):
    """The fields of `JobFilter`, as keywords."""

    ids: Sequence[int] | None
    name: str | Sequence[str] | None
    queue: str | Sequence[str] | None
    state: JobState | str | Sequence[JobState | str] | None
    tag: str | Sequence[str] | None
    args: Mapping[str, Any] | None
    priority: int | None
    min_priority: int | None
    max_priority: int | None
    created_after: datetime | None
    created_before: datetime | None
    error: str | None
    min_attempt: int | None
    max_attempt: int | None
    schedule: str | Sequence[str] | None
    parent: int | None


@explains_options
@dataclass(frozen=True, kw_only=True, slots=True)
class JobFilter:
    """Jobs that fit everything that is given; without anything, all jobs.

    Raises ConfigError for what no job can fit.
    """

    ids: Sequence[int] | None = None
    name: str | Sequence[str] | None = None
    """A name of a job, or several: one of them."""
    queue: str | Sequence[str] | None = None
    state: JobState | str | Sequence[JobState | str] | None = None
    tag: str | Sequence[str] | None = None
    """A tag, or several: all of them."""
    args: Mapping[str, Any] | None = None
    """What the stored arguments contain, as JSON has it: names, and in objects and lists what
    is inside."""
    priority: int | None = None
    min_priority: int | None = None
    """This priority or a number above it, which is less urgent."""
    max_priority: int | None = None
    """This priority or a number below it."""
    created_after: datetime | None = None
    """From this moment on, with a time zone."""
    created_before: datetime | None = None
    """Before this moment."""
    error: str | None = None
    """A part of an error's class and message, whatever the case of its letters."""
    min_attempt: int | None = None
    """At least so many attempts were begun."""
    max_attempt: int | None = None
    """At most so many attempts were begun."""
    schedule: str | Sequence[str] | None = None
    """A name of a schedule, or several: runs of one of them."""
    parent: int | None = None
    """The id of a job: what it scheduled while it ran."""

    def __post_init__(self) -> None:
        for number in self.ids or ():
            check_whole("ids", number, -MAX_ID - 1, MAX_ID)
        for field in ("name", "queue", "tag", "schedule"):
            _check_texts(field, getattr(self, field))
        if self.parent is not None:
            check_whole("parent", self.parent, -MAX_ID - 1, MAX_ID)
        _ = self.states, self.json_args
        if self.error is not None and not is_storable(self.error):
            raise ConfigError(f"error must be a text {STORABLE}, got {self.error!r}")
        self._check_ranges()
        for name in ("created_after", "created_before"):
            _check_moment(name, getattr(self, name))
        for field in ("ids", "name", "queue", "state", "tag", "schedule"):
            value = getattr(self, field)
            if value is not None and not isinstance(value, str) and len(value) > MAX_TEXTS:
                raise ConfigError(f"{field} takes at most {MAX_TEXTS} values, got {len(value)}")

    def _check_ranges(self) -> None:
        for field in ("priority", "min_priority", "max_priority"):
            if getattr(self, field) is not None:
                check_whole(field, getattr(self, field), -MAX_PRIORITY, MAX_PRIORITY)
        for field in ("min_attempt", "max_attempt"):
            if getattr(self, field) is not None:
                check_whole(field, getattr(self, field), 0, MAX_ATTEMPTS)
        if self.priority is not None and (self.min_priority, self.max_priority) != (None, None):
            raise ConfigError("give priority, or min_priority and max_priority, not both")
        for kind, (least, most) in (("priority", self.priorities), ("attempt", self.attempts)):
            if least is not None and most is not None and least > most:
                raise ConfigError(f"no {kind} is at least {least} and at most {most}")

    @property
    def is_everything(self) -> bool:
        """Whether every job fits."""
        return all(getattr(self, field.name) is None for field in fields(self))

    @property
    def names(self) -> list[str] | None:
        """The names, one of which a job must have."""
        return _several(self.name)

    @property
    def queues(self) -> list[str] | None:
        """The queues, one of which a job must be in."""
        return _several(self.queue)

    @property
    def tags(self) -> list[str] | None:
        """The tags, all of which a job must have."""
        return _several(self.tag)

    @property
    def schedules(self) -> list[str] | None:
        """The schedules, of one of which a job must be a run."""
        return _several(self.schedule)

    @property
    def priorities(self) -> tuple[int | None, int | None]:
        """The lowest and the highest priority; None for no bound."""
        if self.priority is not None:
            return self.priority, self.priority
        return self.min_priority, self.max_priority

    @property
    def attempts(self) -> tuple[int | None, int | None]:
        """The lowest and the highest number of attempts; None for no bound."""
        return self.min_attempt, self.max_attempt

    @property
    def states(self) -> list[JobState] | None:
        """The states, one of which a job must be in. Raises ConfigError."""
        found = _several(self.state)
        try:
            return None if found is None else [JobState(state) for state in found]
        except ValueError:
            known = ", ".join(state.value for state in JobState)
            raise ConfigError(f"state must be of {known}, got {self.state!r}") from None

    @property
    def only_state(self) -> JobState | None:
        """The state of all jobs that fit, if there is only one."""
        states = self.states
        return states[0] if states is not None and len(states) == 1 else None

    @property
    def json_args(self) -> Json | None:
        """What the arguments must contain, as JSON. Raises ConfigError."""
        if self.args is None:
            return None
        try:
            text = json.dumps(dict(self.args), allow_nan=False, ensure_ascii=False)
            text.encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise ConfigError(f"args must be a mapping that JSON can hold: {error}") from None
        if "\\u0000" in text.replace("\\\\", ""):
            raise ConfigError("args: PostgreSQL stores no null character")
        return text

    def fits(self, job: JobRecord) -> bool:
        """Return whether *job* is meant."""
        return (
            (self.ids is None or job.id in self.ids)
            and (self.names is None or job.name in self.names)
            and (self.queues is None or job.queue in self.queues)
            and (self.states is None or job.state in self.states)
            and (self.tags is None or {*self.tags} <= {*job.tags})
            and (self.args is None or contains(json.loads(job.args), dict(self.args)))
            and _is_within(job.priority, *self.priorities)
            and (self.created_after is None or job.created_at >= self.created_after)
            and (self.created_before is None or job.created_at < self.created_before)
            and _is_within(job.attempt, *self.attempts)
            and (self.error is None or _mentions(job.errors, self.error))
            and (self.schedules is None or job.schedule in self.schedules)
            and (self.parent is None or job.parent_id == self.parent)
        )


def contains(value: Any, wanted: Any) -> bool:
    """Return whether the JSON *value* contains *wanted*, as PostgreSQL's ``@>`` has it."""
    if isinstance(wanted, dict):
        return isinstance(value, dict) and all(
            name in value and contains(value[name], part) for name, part in wanted.items()
        )
    if isinstance(wanted, list | tuple):
        return isinstance(value, list) and all(
            any(contains(one, part) for one in value) for part in wanted
        )
    return (type(value) is type(wanted) and value == wanted) or (
        isinstance(value, int | float)
        and isinstance(wanted, int | float)
        and not isinstance(value, bool)
        and not isinstance(wanted, bool)
        and value == wanted
    )


def _mentions(errors: Json, text: str) -> bool:
    told = (f"{error.get('error')}: {error.get('message')}" for error in json.loads(errors))
    return any(text.lower() in line.lower() for line in told)


def _is_within(number: int, least: int | None, most: int | None) -> bool:
    return (least is None or number >= least) and (most is None or number <= most)


def _several(value: str | Sequence[str] | None) -> list[str] | None:
    return [value] if isinstance(value, str) else None if value is None else list(value)


def _check_texts(field: str, value: str | Sequence[str] | None) -> None:
    found = _several(value) if value is None or isinstance(value, str | list | tuple) else [None]
    for text in found or ():
        if not is_storable(text):
            raise ConfigError(
                f"{field} must be a text or a list of texts {STORABLE}, got {value!r}"
            )


def _check_moment(name: str, moment: datetime | None) -> None:
    if moment is None:
        return
    if not isinstance(moment, datetime) or moment.utcoffset() is None:
        raise ConfigError(f"{name} must be a datetime with a time zone, got {moment!r}")
    try:
        moment.astimezone(UTC)
    except OverflowError:
        told = moment.isoformat()
        raise ConfigError(f"{name} must be in a year from 1 to 9999 of UTC, got {told}") from None
