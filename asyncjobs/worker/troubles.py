"""Schedules that are due and cannot have their run yet."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection

FIRST = 0.02
"""Seconds between the first and the second try of a schedule, doubling."""
IN_DOUBT, REFUSED = 1.0, 10.0
"""Seconds between two tries at most: of a run whose unique key another's open transaction has
too, and of one that the database refuses."""
SHARE = 4
"""Tries that fail are followed by a pause of so many times what they took: others need the
connection."""
LONG = 5.0
"""Seconds after which it is said that a schedule waits."""


@dataclass
class Trouble:
    """How it stands with one schedule."""

    since: float
    pause: float = FIRST
    not_before: float = 0.0
    is_told: bool = False


class Troubles:
    """The schedules that are tried apart from the others, each by itself, with growing pauses."""

    def __init__(self, log: Any) -> None:
        self._log = log
        self._by_name: dict[str, Trouble] = {}
        self._next_at = 0.0

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def keep(self, names: Collection[str]) -> None:
        """Forget all but *names*: others have fired the rest."""
        self._by_name = {name: one for name, one in self._by_name.items() if name in names}

    def add(self, name: str, most: float) -> None:
        """Note that *name* was tried in vain: the next try comes after *most* seconds at most."""
        now = time.monotonic()
        one = self._by_name.setdefault(name, Trouble(now))
        one.not_before = now + min(one.pause, most)
        one.pause = min(one.pause * 2, most)
        waits = now - one.since
        if most == IN_DOUBT and waits >= LONG and not one.is_told:
            one.is_told = True
            self._log.warning("schedule.in_doubt", schedule=name, seconds=round(waits, 1))

    def put_off(self, name: str) -> None:
        """Note that somebody had locked *name*: it is tried again after its pause."""
        if (one := self._by_name.get(name)) is not None:
            one.not_before = time.monotonic() + one.pause
            one.pause = max(one.pause, min(one.pause * 2, IN_DOUBT))

    def settle(self, name: str) -> None:
        """Note that *name* got through. All others may: one transaction often has many keys."""
        if self._by_name.pop(name, None) is not None:
            for one in self._by_name.values():
                one.not_before = 0.0
            self._next_at = 0.0

    def rest(self, spent: float) -> None:
        """Note that tries in vain took *spent* seconds."""
        self._next_at = time.monotonic() + SHARE * spent

    def due(self) -> list[str]:
        """Return whom to try now, the newest troubles first."""
        now = time.monotonic()
        if now < self._next_at:
            return []
        due = [(one.pause, one.not_before, name) for name, one in self._by_name.items()]
        return [name for _, not_before, name in sorted(due) if not_before <= now]

    def next_in(self) -> float | None:
        """Return the seconds until the next try; None if nobody is in trouble."""
        if not self._by_name:
            return None
        first = min(one.not_before for one in self._by_name.values())
        return max(max(first, self._next_at) - time.monotonic(), 0.0)
