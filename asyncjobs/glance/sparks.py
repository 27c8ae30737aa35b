"""Small charts: what ended in a time, as bars in a line of text."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from asyncjobs.statistics import Span

HEIGHT = 20
STEP, THICK = 4, 3
"""From bar to bar, and how wide one is."""


class Scale(NamedTuple):
    """How far back a chart looks."""

    label: str
    """As in "in the last hour"."""
    width: int
    """Seconds of a span."""
    spans: int
    joined: int
    """Spans that make one bar."""


HOUR = Scale("hour", 60, 60, 2)
WEEK = Scale("week", 3_600, 168, 6)


class Spark(NamedTuple):
    """A chart, and its numbers. Bars stand on each other: succeeded, retried, failed."""

    scale: Scale
    succeeded: int
    failed: int
    retried: int
    cancelled: int
    shapes: tuple[tuple[str, str], ...]
    """Outcome and path, as SVG has it, in a box of `size`."""

    @property
    def ended(self) -> int:
        """Attempts that ended, however."""
        return self.succeeded + self.failed + self.retried + self.cancelled

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the box."""
        return self.scale.spans // self.scale.joined * STEP, HEIGHT


def spark_of(spans: Iterable[Span], scale: Scale, now: datetime) -> Spark:
    """Return the chart of *spans*, up to *now*."""
    width, count = scale.width * scale.joined, scale.spans // scale.joined
    first = int(now.timestamp()) // width - count + 1
    bars = [[0, 0, 0, 0] for _ in range(count)]
    for span in spans:
        place = int(span.since.timestamp()) // width - first
        if 0 <= place < count:
            for kind, number in enumerate(span[1:]):
                bars[place][kind] += number
    succeeded, failed, retried, cancelled = map(sum, zip(*bars, strict=True))
    return Spark(scale, succeeded, failed, retried, cancelled, _shapes(bars))


def _shapes(bars: list[list[int]]) -> tuple[tuple[str, str], ...]:
    # In the order in which they stand on each other.
    kinds = ((0, "succeeded"), (3, "cancelled"), (2, "retried"), (1, "failed"))
    most = max((sum(bar) for bar in bars), default=0)
    paths: dict[str, list[str]] = {name: [] for _, name in kinds}
    for place, bar in enumerate(bars):
        top = HEIGHT
        for kind, name in kinds:
            if bar[kind]:
                # Whatever there was can be seen, be it one in a thousand.
                tall = max(2, round(HEIGHT * bar[kind] / most))
                top = max(0, top - tall)
                paths[name].append(f"M{place * STEP} {top}h{THICK}v{tall}h-{THICK}z")
    return tuple((name, "".join(path)) for name, path in paths.items() if path)
