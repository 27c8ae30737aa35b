"""Pictures of nobody: the trace of a pendulum that swings as an address tells it to."""

from __future__ import annotations

import hashlib
import math
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SIZE = 240
POINTS = 2400


class Swing(NamedTuple):
    """One of the pendulum's movements."""

    frequency: float
    phase: float
    damping: float

    def at(self, time: float) -> float:
        """Return how far it is out, from -1 to 1."""
        return math.sin(self.frequency * time + self.phase) * math.exp(-self.damping * time)


def draw(seed: str) -> str:
    """Return an SVG picture, always the same for the same *seed*."""
    digest = hashlib.sha256(seed.encode()).digest()
    hue = digest[0] * 360 // 256
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in _trace(digest))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE} {SIZE}">'
        f'<rect width="{SIZE}" height="{SIZE}" fill="hsl({hue} 60% 94%)"/>'
        f'<polyline points="{path}" fill="none" stroke="hsl({hue} 65% 42%)"'
        ' stroke-width="0.7" stroke-linejoin="round"/></svg>\n'
    )


def save(folder: Path, user_id: int, picture: str) -> None:
    """Store *picture*; who reads meanwhile sees the old one or the new one."""
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f"{user_id}.part"
    unfinished.write_text(picture)
    unfinished.replace(folder / f"{user_id}.svg")


def _trace(digest: bytes) -> Iterator[tuple[float, float]]:
    swings = [_swing(*pair) for pair in pairwise(digest[1:6])]
    reach = SIZE * 0.23
    for step in range(POINTS):
        time = step / 25
        x = swings[0].at(time) + swings[1].at(time)
        y = swings[2].at(time) + swings[3].at(time)
        yield SIZE / 2 + reach * x, SIZE / 2 + reach * y


def _swing(first: int, second: int) -> Swing:
    # Nearly whole frequencies draw figures that close, and then drift.
    frequency = 1 + first % 4 + (second - 128) / 12_000
    return Swing(frequency, phase=second / 256 * math.tau, damping=0.004 + first / 32_000)
