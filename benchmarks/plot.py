"""Draws the figures as bars: ``python plot.py results.json picture.png``, with matplotlib."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot

PANELS = (
    ("one_by_one", "later() one by one, jobs/s"),
    ("concurrent", "50 callers, jobs/s"),
    ("bulk", "bulk of 1 000, jobs/s"),
    ("drain", "drain until stored, jobs/s"),
    ("drain_beside_others", "drain beside others waiting, jobs/s"),
    ("latency_p99", "idle latency p99, ms (less is better)"),
)
COLORS = {"ours": "#0b7285", "limit": "#adb5bd"}
OTHERS = "#74c0fc"


def draw(data: dict[str, Any], picture: Path) -> None:
    """Draw one panel a figure, peers from the top down."""
    peers = data["peers"]
    names = [name for name in reversed(peers) if peers[name]["medians"]]
    figure, axes = pyplot.subplots(2, 3, figsize=(16, 0.7 * len(names) + 3), layout="constrained")
    for axis, (key, text) in zip(axes.flat, PANELS, strict=True):
        values = [peers[name]["medians"].get(key, 0) for name in names]
        bars = axis.barh(
            [peers[name]["title"] for name in names],
            values,
            color=[COLORS.get(name, OTHERS) for name in names],
        )
        axis.bar_label(bars, [_label(value) for value in values], padding=3, fontsize=8)
        axis.set_title(text, fontsize=10)
        axis.margins(x=0.2)
        axis.spines[["top", "right"]].set_visible(False)
    cores, processor = data["machine"]["cores"], data["machine"]["processor"]
    version = data["server"]["server_version"]
    figure.suptitle(f"{data['date']}, {cores} cores, {processor}, PostgreSQL {version}", fontsize=9)
    figure.savefig(picture, dpi=110)


def _label(value: float) -> str:
    if not value:
        return "none"
    return f"{value:,.0f}" if value >= 100 else f"{value:,.1f}"


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
