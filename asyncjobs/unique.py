"""Calls that must not be stored twice: which of them are equal, how long, and what then.

Equal calls have the same key: a hash of the job's name and of a text, or of arguments. The
storage keeps it beside the job, in a unique index that holds those jobs only which are in one
of the states that count.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict, get_args

from asyncjobs.clock import check_duration
from asyncjobs.errors import ConfigError
from asyncjobs.types import JobState, Unique

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import timedelta

    from asyncjobs.types import Json

OnConflict: TypeAlias = Literal["ignore", "replace", "raise", "reschedule"]
ON_CONFLICT = get_args(OnConflict)
MAX_KEY = 1_000
"""Characters of a key that a user writes."""
NAMED = (JobState.SCHEDULED, JobState.AVAILABLE)
"""The states in which every unique job keeps others out; named by all who name states."""
WAITING = (JobState.SCHEDULED, JobState.WAITING, JobState.AVAILABLE)
LIVE = (*WAITING, JobState.RUNNING)


class UniqueOptions(TypedDict, total=False):
    """The options that make a call unique: those of `later` and of ``@jobs.job(…)``."""

    unique: bool | str | Sequence[str] | None
    """A text: calls of the job with the same text are equal. True: those with the same
    arguments. Names: those in which these arguments are the same. False: none are."""
    unique_for: float | timedelta | None
    """Seconds, or a timedelta, from when it was stored, in which an equal call is refused even
    if the job has ended."""
    unique_states: Sequence[JobState | str] | None
    """While the job is in one of these an equal call is refused: scheduled, waiting, available
    and running. Without running it may be stored again as soon as the job first starts."""
    on_conflict: OnConflict | None
    """What an equal call does: "ignore" nothing, "replace" the waiting job's arguments and
    options, "reschedule" it, or "raise" JobExistsError."""


@dataclass(frozen=True, kw_only=True, slots=True)
class UniqueRule:
    """What a job, or one call of it, says about being unique; None where it says nothing."""

    by: bool | str | tuple[str, ...] | None = None
    period: float | None = None
    states: tuple[JobState, ...] | None = None
    on_conflict: OnConflict | None = None

    def over(self, job: UniqueRule | None) -> UniqueRule:
        """Return this rule of a call, with what *job* says where it says nothing."""
        if job is None:
            return self
        said = {
            name: value
            for name in UniqueRule.__slots__
            if (value := getattr(self, name)) is not None
        }
        return replace(job, **said)

    def check(self, job: str, parameters: Iterable[str]) -> None:
        """Raise ConfigError if this names an argument that *job* does not take, or nothing."""
        if self.by is None and self != UniqueRule():
            raise ConfigError(
                f"job {job!r}: unique_for, unique_states and on_conflict need unique="
            )
        names = self.by if isinstance(self.by, tuple) else ()
        known = tuple(parameters)
        for name in names:
            if name not in known:
                raise ConfigError(
                    f"job {job!r}: unique names the argument {name!r}, which it does not take "
                    f"(it takes: {', '.join(known) or 'none'})"
                )

    def of(self, job: str, args: Json, defaults: Mapping[str, Any]) -> Unique | None:
        """Return what makes the call of *job* with *args* unique; None if nothing does.

        An argument that has its default's value counts as not given.
        """
        if not self.by:
            return None
        return Unique(
            self.key(job, args, defaults),
            self.states or LIVE,
            self.period,
            self.on_conflict or "ignore",
        )

    def key(self, job: str, args: Json, defaults: Mapping[str, Any]) -> str:
        """Return the key of a call, as hexadecimal digits."""
        told: Any = self.by
        if not isinstance(told, str):
            given = {
                name: value
                for name, value in json.loads(args).items()
                if (told is True or name in told)
                and not (name in defaults and defaults[name] == value)
            }
            told = [None if told is True else sorted(told), given]
        text = json.dumps([job, told], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def unique_rule(options: UniqueOptions) -> UniqueRule | None:
    """Return what *options* say, checked; None if they say nothing. Raises ConfigError."""
    period = options.get("unique_for")
    rule = UniqueRule(
        by=_check_by(options.get("unique")),
        period=None if period is None else check_duration("unique_for", period),
        states=_check_states(options.get("unique_states")),
        on_conflict=_check_conflict(options.get("on_conflict")),
    )
    return None if rule == UniqueRule() else rule


def _check_by(unique: bool | str | Sequence[str] | None) -> bool | str | tuple[str, ...] | None:
    if unique is None or isinstance(unique, bool):
        return unique
    if isinstance(unique, str):
        if not 0 < len(unique) <= MAX_KEY:
            raise ConfigError(
                f"unique must have 1 to {MAX_KEY} characters, got {len(unique)}: {unique[:60]!r}"
            )
        return unique
    if (
        not isinstance(unique, list | tuple)
        or not unique
        or not all(isinstance(name, str) for name in unique)
    ):
        raise ConfigError(
            f"unique must be True, a text, or a list of names of arguments, got {unique!r}"
        )
    return tuple(unique)


def _check_states(states: Sequence[JobState | str] | None) -> tuple[JobState, ...] | None:
    if states is None:
        return None
    try:
        if isinstance(states, str):
            raise ValueError
        found = {JobState(state) for state in states}
    except (ValueError, TypeError):
        known = ", ".join(state.value for state in JobState)
        raise ConfigError(f"unique_states must be a list of {known}, got {states!r}") from None
    if not found.issuperset(NAMED):
        raise ConfigError(f"unique_states must hold scheduled and available, got {states!r}")
    found.add(JobState.WAITING)
    if JobState.RUNNING not in found and found != {*WAITING}:
        raise ConfigError(
            f"unique_states with a state after running must hold running, got {states!r}"
        )
    return tuple(state for state in JobState if state in found)


def _check_conflict(on_conflict: OnConflict | None) -> OnConflict | None:
    if on_conflict is not None and on_conflict not in ON_CONFLICT:
        raise ConfigError(
            f"on_conflict must be one of {', '.join(ON_CONFLICT)}, got {on_conflict!r}"
        )
    return on_conflict
