"""What is typed into the search box, and which jobs it means.

::

    name:send_mail state:failed,cancelled args.user_id:7 error:timeout attempt:>3 tag:vip
    queue:email priority:<50 id:7,8 after:2h before:2030-01-31 schedule:nightly parent:7
    "some words"

A word of its own is a part of a name, or an id. Every word narrows the search down, those of
one kind too; only the values between commas, and ids by themselves, are a choice. What is not
understood is said, never left out: a search that is acted on must mean what it says.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple

from asyncjobs.clock import parse_moment
from asyncjobs.errors import ConfigError
from asyncjobs.filters import JobFilter
from asyncjobs.types import JobState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from asyncjobs.glance.redaction import Redaction

FILTERS = (
    "name:", "state:", "queue:", "tag:", "args.", "error:", "attempt:", "priority:", "id:",
    "after:", "before:", "schedule:", "parent:",
)  # fmt: skip
MAX_TEXT = 2_000
"""Characters."""
WORD = re.compile(r'(?:[^\s"]|"(?:[^"\\]|\\.)*")+')
UNITS = {"s": 1, "min": 60, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
AGE = re.compile(rf"(\d{{1,6}})({'|'.join(UNITS)})")
RANGE = re.compile(r"(<=|>=|<|>)?(-?\d{1,9})(?:\.\.(-?\d{1,9}))?")


class Search(NamedTuple):
    """What was understood."""

    text: str
    where: JobFilter
    problems: Sequence[str] = ()
    """What was not; then *where* says nothing."""


class SearchError(ValueError):
    """A part of a search that cannot be understood."""


def parse(
    text: str, names: Sequence[str], redaction: Redaction, *, now: datetime | None = None
) -> Search:
    """Return which jobs *text* means; *names* are the known ones of jobs."""
    reader = Reader(names, redaction, now or datetime.now(UTC))
    problems: list[str] = []
    if len(text) > MAX_TEXT:
        problems.append(f"A search has at most {MAX_TEXT} characters.")
    elif (left := WORD.sub("", text).strip()) and '"' in left:
        problems.append("A quotation mark is missing its partner.")
    else:
        for word in WORD.findall(text):
            try:
                reader.read(word)
            except SearchError as error:
                problems.append(str(error))
    try:
        where = reader.where()
    except ConfigError as error:
        problems.append(f"{error}.")
    if problems:
        return Search(text, JobFilter(ids=[]), problems)
    return Search(text, where)


class Reader:
    """Collects what the words of one search say."""

    def __init__(self, names: Sequence[str], redaction: Redaction, now: datetime) -> None:
        self._names, self._redaction, self._now = names, redaction, now
        self.fields: dict[str, Any] = {}
        self._numbers: list[int] = []
        self._kinds: dict[str, Callable[[str], None]] = {
            "name": self._name, "state": self._state, "queue": self._queue, "tag": self._tag,
            "error": self._error, "attempt": self._attempt, "priority": self._priority,
            "id": self._id, "after": self._after, "before": self._before,
            "schedule": self._schedule, "parent": self._parent,
        }  # fmt: skip

    def where(self) -> JobFilter:
        """Return which jobs fit every word. Raises ConfigError."""
        if self._numbers:
            self._narrow("ids", self._numbers)
        return JobFilter(**self.fields)

    def read(self, word: str) -> None:
        """Take one word in. Raises SearchError."""
        kind, colon, value = word.partition(":")
        if not colon or '"' in kind:
            self._plain(word)
        elif kind.startswith("args."):
            self._argument(kind.removeprefix("args."), value)
        elif kind not in self._kinds:
            raise SearchError(f"There is no {kind}: to search by; there are {', '.join(FILTERS)}")
        elif not value:
            raise SearchError(f"Say what after {kind}:")
        else:
            self._kinds[kind](value)

    def _plain(self, word: str) -> None:
        text = _unquoted(word)
        if number := re.fullmatch(r"#?(\d{1,18})", word):
            self._numbers.append(int(number[1]))
            return
        found = [name for name in self._names if text.lower() in name.lower()]
        if not found:
            raise SearchError(
                f"No known job's name has {text!r} in it. Search by error:{word} or "
                f"args.some_argument:{word} instead?"
            )
        self._narrow("name", found)

    def _name(self, value: str) -> None:
        self._narrow("name", [name for text in _texts(value) for name in self._named(text)])

    def _named(self, text: str) -> list[str]:
        if "*" not in text:
            return [text]
        found = [known for known in self._names if fnmatchcase(known, text)]
        if not found:
            raise SearchError(f"No known job's name is like {text!r}.")
        return found

    def _state(self, value: str) -> None:
        texts = _texts(value)
        for text in texts:
            if text not in list(JobState):
                known = ", ".join(state.value for state in JobState)
                raise SearchError(f"There is no state {text!r}; there are {known}.")
        self._narrow("state", texts)

    def _queue(self, value: str) -> None:
        self._narrow("queue", _texts(value))

    def _tag(self, value: str) -> None:
        self.fields.setdefault("tag", []).extend(_texts(value))

    def _schedule(self, value: str) -> None:
        self._narrow("schedule", _texts(value))

    def _id(self, value: str) -> None:
        self._narrow("ids", [_number(text) for text in _texts(value)])

    def _parent(self, value: str) -> None:
        self._once("parent", _number(value))

    def _error(self, value: str) -> None:
        self._once("error", _unquoted(value))

    def _attempt(self, value: str) -> None:
        self._range("attempt", value)

    def _priority(self, value: str) -> None:
        self._range("priority", value)

    def _after(self, value: str) -> None:
        self._once("created_after", self._moment(value))

    def _before(self, value: str) -> None:
        self._once("created_before", self._moment(value))

    def _argument(self, path: str, value: str) -> None:
        steps = path.split(".")
        if not all(steps) or not value:
            raise SearchError("Say args.name:value, and args.name.inner:value for what is inside.")
        wanted = _json(value)
        for name in (*steps, *_names_in(wanted)):
            if self._redaction.hides(name):
                raise SearchError(
                    f"The argument {name!r} is hidden here, so nobody searches by it."
                )
        place: dict[str, Any] = self.fields.setdefault("args", {})
        for step in steps[:-1]:
            place = place.setdefault(step, {})
            if not isinstance(place, dict):
                raise SearchError(f"args.{path} is asked for twice, in two ways.")
        if steps[-1] in place:
            raise SearchError(f"args.{path} is asked for twice.")
        place[steps[-1]] = wanted

    def _range(self, kind: str, value: str) -> None:
        found = RANGE.fullmatch(value)
        if found is None or (found[1] and found[3]):
            raise SearchError(f"Write {kind}:3, {kind}:>3, {kind}:<=3 or {kind}:1..3.")
        sign, first, last = found[1], int(found[2]), found[3]
        if sign in (">", ">="):
            self._once(f"min_{kind}", first + (sign == ">"))
        elif sign in ("<", "<="):
            self._once(f"max_{kind}", first - (sign == "<"))
        else:
            self._once(f"min_{kind}", first)
            self._once(f"max_{kind}", int(last) if last else first)

    def _moment(self, value: str) -> datetime:
        if age := AGE.fullmatch(value):
            try:
                return self._now - timedelta(seconds=int(age[1]) * UNITS[age[2]])
            except OverflowError:
                raise SearchError(f"{value!r} is too long ago.") from None
        try:
            moment = parse_moment(_unquoted(value))
        except ValueError:
            raise SearchError(
                f"{value!r} is no time: write 2h for two hours ago (s, min, h, d, w), or "
                "2030-01-31 or 2030-01-31T12:30, in UTC."
            ) from None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    def _narrow(self, field: str, values: Sequence[Any]) -> None:
        # A job has one name, one state and so on: what two words agree about is left.
        known = self.fields.get(field)
        chosen = [value for value in values if known is None or value in known]
        self.fields[field] = list(dict.fromkeys(chosen))

    def _once(self, field: str, value: Any) -> None:
        if field in self.fields:
            raise SearchError(f"{field.replace('_', ' ')} is asked for twice.")
        self.fields[field] = value


def _number(text: str) -> int:
    if not re.fullmatch(r"#?\d{1,18}", text):
        raise SearchError(f"An id is a whole number, not {text!r}.")
    return int(text.lstrip("#"))


def _texts(value: str) -> list[str]:
    parts = re.findall(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+', value)
    return [_unquoted(part) for part in parts]


def _unquoted(text: str) -> str:
    if text.startswith('"') and text.endswith('"'):
        try:
            return str(json.loads(text))
        except ValueError:
            raise SearchError(f"{text} is no text in quotation marks.") from None
    return text


def _json(text: str) -> Any:
    # 7, true and null are what JSON says they are; everything else is a text.
    try:
        return json.loads(text, parse_constant=str)
    except (ValueError, RecursionError):
        return text


def _names_in(value: Any) -> Iterator[str]:
    # However deep they stand; without recursion, as a search may be nested a thousand deep.
    left = [value]
    while left:
        found = left.pop()
        if isinstance(found, dict):
            yield from found
            left.extend(found.values())
        elif isinstance(found, list):
            left.extend(found)
