"""Schedules whose runs wait for transactions of others."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection

FIRST, MOST = 0.02, 1.0
"""Seconds between two tries, doubling."""
LONG = 5.0
"""Seconds after which it is said that a schedule waits."""


class Doubts:
    """The schedules whose run has a unique key that another's open transaction has too.

    Only one of them is tried at a time, in turn, because a try holds up what else is due. When
    one gets through, all are thought to: one transaction often has many keys.
    """

    def __init__(self, log: Any) -> None:
        self._log = log
        self._since: dict[str, float] = {}
        """By name when the doubt began, in the order of the tries."""
        self._told: set[str] = set()
        self._pause, self._next_at = FIRST, 0.0

    def __contains__(self, name: str) -> bool:
        return name in self._since

    def keep(self, names: Collection[str]) -> None:
        """Forget all but *names*: others have fired the rest."""
        self._since = {name: since for name, since in self._since.items() if name in names}
        self._told &= self._since.keys()
        if not self._since:
            self._pause = FIRST

    def add(self, name: str) -> None:
        """Note that *name* was tried, and is in doubt."""
        now = time.monotonic()
        if not self._since:
            self._next_at = now + self._pause
        since = self._since.setdefault(name, now)
        if now - since >= LONG and name not in self._told:
            self._told.add(name)
            self._log.warning("schedule.in_doubt", schedule=name, seconds=round(now - since, 1))

    def pick(self) -> str | None:
        """Return the one to try now, and have the next pause begin; None during a pause."""
        now = time.monotonic()
        if not self._since or now < self._next_at:
            return None
        self._pause = min(self._pause * 2, MOST)
        self._next_at = now + self._pause
        name = next(iter(self._since))
        self._since[name] = self._since.pop(name)
        return name

    def drop(self, name: str) -> None:
        """Note that *name* has another reason not to run."""
        self._since.pop(name, None)

    def clear(self) -> None:
        """Note that the one that was picked got through."""
        self._since.clear()
        self._told.clear()
        self._pause = FIRST

    def next_in(self) -> float | None:
        """Return the seconds until the next try; None if nothing is in doubt."""
        return max(self._next_at - time.monotonic(), 0.0) if self._since else None
