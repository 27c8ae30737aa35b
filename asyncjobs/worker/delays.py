"""How long to wait before asking a storage again that did not answer."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST, MOST = 0.1, 5.0
"""Seconds."""


def growing_delays() -> Iterator[float]:
    """Return delays without end: doubling, and spread so that workers do not come at once."""
    delay = FIRST
    while True:
        yield delay * random.uniform(0.5, 1.0)  # noqa: S311 - not a secret
        delay = min(delay * 2, MOST)
