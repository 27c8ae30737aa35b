"""What one call of `later` may say beyond the call itself, and what a row is told of it.

An option is a key of `LaterOptions`, with its meaning there. Most calls say nothing, and
`NOTHING` is all that is made of them. What only few jobs ask for becomes `Extras`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from asyncjobs.clock import check_moment, check_wait
from asyncjobs.config import MAX_PRIORITY, check_retain, check_whole
from asyncjobs.errors import ConfigError, UnknownOptionError, WaitError
from asyncjobs.limits import check_key
from asyncjobs.types import Extras, tuple_of
from asyncjobs.unique import UniqueOptions, UniqueRule, unique_rule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

MAX_TAGS = 50
MAX_TAG = 200
"""Characters of one tag."""


class LaterOptions(UniqueOptions, total=False):
    """The options of `later` and `later.many`. What is not given, the job decides."""

    wait: float | timedelta | None
    """Seconds from now, or a timedelta."""
    wait_until: datetime | None
    """A moment with a time zone. At most one of *wait* and *wait_until*."""
    queue: str | None
    priority: int | None
    """Lower runs first."""
    tags: Sequence[str] | None
    """Words to find the job by, added to those of the job's definition."""
    meta: Mapping[str, Any] | None
    """What belongs to this job but is no argument: a tenant, a source. JSON; in the job it is
    ``current_job().meta``."""
    expires: float | timedelta | datetime | None
    """Seconds or a timedelta from now, or a moment, after which nobody needs the job: not
    started by then, it becomes `cancelled`, with the error ExpiredError."""
    retain: float | timedelta | None
    """Keep the row with the job's result for so long after its end: seconds, or a timedelta."""
    concurrency_key: str | None
    """In place of the one that the job's definition makes. One at a time, unless the job says
    otherwise."""
    connection: object | None
    """A connection in whose transaction the job is stored."""


OPTIONS = tuple(LaterOptions.__annotations__)
KNOWN = frozenset(OPTIONS)
PLACE = frozenset({"queue", "priority"})
TIMES = frozenset({"wait", "wait_until"})
UNIQUE = frozenset(UniqueOptions.__annotations__)
COMMON = frozenset({*PLACE, *TIMES, *UNIQUE, "concurrency_key", "connection"})
"""The options that do not make `Extras`."""


class Chosen(NamedTuple):
    """What one call says in place of the job, checked."""

    queue: str | None = None
    priority: int | None = None
    wait: float | None = None
    wait_until: datetime | None = None
    extras: Extras | None = None
    concurrency_key: str | None = None
    unique: UniqueRule | None = None


NOTHING = Chosen()


def chosen(options: LaterOptions) -> Chosen:
    """Return *options*, checked.

    Raises UnknownOptionError, ConfigError, WaitError and ConcurrencyKeyError.
    """
    if not options:
        return NOTHING
    queue, priority = options.get("queue"), options.get("priority")
    if priority is not None:
        check_whole("priority", priority, -MAX_PRIORITY, MAX_PRIORITY)
    if PLACE.issuperset(options):  # of those that say anything, most say no more
        return tuple_of(Chosen, (queue, priority, None, None, None, None, None))
    if not KNOWN.issuperset(options):
        raise UnknownOptionError(next(name for name in options if name not in KNOWN), OPTIONS)
    wait = wait_until = extras = None
    if not TIMES.isdisjoint(options):
        wait, wait_until = check_wait(options.get("wait"), options.get("wait_until"))
    if not COMMON.issuperset(options):
        extras = extras_of(options)
    if extras is not None and wait is not None and (extras.expires or math.inf) <= wait:
        raise WaitError(f"expires after {extras.expires:g} s, but waits for {wait:g} s")
    key = options.get("concurrency_key")
    if key is not None:
        check_key(key)
    unique = None if UNIQUE.isdisjoint(options) else unique_rule(options)
    return tuple_of(Chosen, (queue, priority, wait, wait_until, extras, key, unique))


def extras_of(options: LaterOptions) -> Extras | None:
    """Return what few calls ask for; None if this one does not."""
    meta, expires, retain = options.get("meta"), options.get("expires"), options.get("retain")
    return make_extras(
        tags=check_tags(options.get("tags") or ()),
        expires=None if isinstance(expires, datetime) else check_expires(expires),
        expires_at=check_moment("expires", expires) if isinstance(expires, datetime) else None,
        retain=None if retain is None else check_retain(retain),
        meta=None if meta is None else check_meta(meta),
    )


def make_extras(
    *,
    tags: tuple[str, ...] = (),
    expires: float | None = None,
    expires_at: datetime | None = None,
    retain: float | None = None,
    meta: dict[str, Any] | None = None,
) -> Extras | None:
    """Return what is asked for, checked already; None if that is nothing."""
    told = {"meta": meta, "retain": retain}
    extra = {key: value for key, value in told.items() if value is not None}
    extras = Extras(tags, json.dumps(extra) if extra else None, expires, expires_at, retain)
    return None if extras == Extras() else extras


def check_expires(expires: float | timedelta | None) -> float | None:
    """Return *expires* in seconds. Raises WaitError for what is no duration, or none at all."""
    found, _ = check_wait(expires, None, name="expires")
    if found == 0:
        raise WaitError("expires must be more than 0 s")
    return found


def check_tags(tags: Sequence[str]) -> tuple[str, ...]:
    """Return *tags*, each once. Raises ConfigError for what is no list of short texts."""
    is_list = isinstance(tags, Iterable) and not isinstance(tags, str)
    if not is_list or not all(isinstance(tag, str) for tag in tags):
        raise ConfigError(f"tags must be a list of texts, got {tags!r}")
    if len(tags) > MAX_TAGS:
        raise ConfigError(f"a job has at most {MAX_TAGS} tags, got {len(tags)}")
    for tag in tags:
        if not 0 < len(tag) <= MAX_TAG or not tag.isprintable():
            raise ConfigError(f"a tag has 1 to {MAX_TAG} printable characters, got {tag!r}")
    return tuple(dict.fromkeys(tags))


def check_meta(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Return *meta* as JSON has it. Raises ConfigError for what JSON or jsonb cannot hold."""
    try:
        text = json.dumps(dict(meta), allow_nan=False, ensure_ascii=False)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"meta must be a mapping that JSON can hold: {error}") from None
    if "\\u0000" in text.replace("\\\\", ""):  # not a backslash that was written
        raise ConfigError("meta: PostgreSQL stores no null character")
    found: dict[str, Any] = json.loads(text)
    return found


def joined(of_job: Extras | None, of_call: Extras | None) -> Extras | None:
    """Return what a job and one call of it ask for together; the call's word counts."""
    if of_job is None or of_call is None:
        return of_call or of_job
    own_end = of_call.expires is not None or of_call.expires_at is not None
    parts = [json.loads(extras.extra) for extras in (of_job, of_call) if extras.extra]
    extra = {key: value for part in parts for key, value in part.items()}
    return Extras(
        tuple(dict.fromkeys((*of_job.tags, *of_call.tags))),
        json.dumps(extra) if extra else None,
        expires=of_call.expires if own_end else of_job.expires,
        expires_at=of_call.expires_at,
        retain=of_job.retain if of_call.retain is None else of_call.retain,
    )
