"""What a run has found, as a page and as data."""

from __future__ import annotations

import importlib
import inspect
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import environments, limit
from benchmarks.peers import load
from benchmarks.runner import LIMIT
from benchmarks.scenarios import EVERYONE, OURS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.runner import Entry, Runner


@dataclass(frozen=True)
class Column:
    """One column of the table of all peers."""

    title: str
    figure: str
    scenario: str
    form: str = ",.0f"
    faster: int = 1
    """1 if more is better, -1 if less is."""


COLUMNS = (
    Column("`later()` one by one, jobs/s", "one_by_one", "one_by_one"),
    Column("50 callers, jobs/s", "concurrent", "concurrent"),
    Column("bulk of 1 000, jobs/s", "bulk", "bulk"),
    Column("drain until stored, jobs/s", "drain", "drain"),
    Column("latency p50, ms", "latency_p50", "latency", ".1f", -1),
    Column("latency p99, ms", "latency_p99", "latency", ".1f", -1),
    Column("WAL bytes/job, enqueue", "one_by_one_wal", "one_by_one", ",.0f", -1),
    Column("WAL bytes/job, drain", "drain_wal", "drain", ",.0f", -1),
    Column("commits/job, enqueue", "one_by_one_commits", "one_by_one", ".2f", -1),
    Column("commits/job, drain", "drain_commits", "drain", ".3f", -1),
    Column("drain beside {others}, jobs/s", "drain_beside_others", "drain_beside_others"),
)
QUICK = "**A quick run: it shows that everything works, its figures mean nothing.**"
OWN = {
    "drain": ("drain by one worker, jobs/s", ",.0f"),
    "drain_by_two": ("drain by two workers, jobs/s", ",.0f"),
    "drain_beside_waiting": ("drain beside {many_others} waiting, jobs/s", ",.0f"),
    "drain_beside_scheduled": ("drain beside {many_others} scheduled, jobs/s", ",.0f"),
    "drain_beside_finished": ("drain beside {many_others} finished, jobs/s", ",.0f"),
    "concurrent_wal": ("WAL bytes/job, 50 callers", ",.0f"),
    "bulk_wal": ("WAL bytes/job, bulk", ",.0f"),
    "concurrent_commits": ("commits/job, 50 callers", ".4f"),
    "busy_p50": ("latency p50 at half the peak, ms", ".1f"),
    "busy_p99": ("latency p99 at half the peak, ms", ".1f"),
    "busy_load": ("share of the peak that was enqueued meanwhile", ".2f"),
    "held_first_tenth": ("held snapshot: first tenth of {held}, jobs/s", ",.0f"),
    "held_last_tenth": ("held snapshot: last tenth, jobs/s", ",.0f"),
    "held_ratio": ("held snapshot: last tenth / first tenth", ".2f"),
    "held_urgent": ("held snapshot: slowest start of an urgent job, ms", ".1f"),
    "memory_empty": ("memory of an idle worker, MB", ".0f"),
    "memory_waiting": ("memory with {memory} jobs waiting, MB", ".0f"),
    "scheduled_least": ("scheduled job beside {many_others} future ones: earliest, ms late", ".1f"),
    "scheduled_p50": ("the same, p50", ".1f"),
    "scheduled_p99": ("the same, p99", ".1f"),
    "naps": ("1 000 jobs of 100 ms at concurrency 100, s", ".3f"),
    "unique_bulk": ("unique jobs: bulk of 1 000, jobs/s", ",.0f"),
    "unique_drain": ("the same: drain, jobs/s", ",.0f"),
    "keyed_bulk": ("jobs with a limit of ten for each of 1 000 keys: bulk, jobs/s", ",.0f"),
    "keyed_drain": ("the same: drain, jobs/s", ",.0f"),
    "rated_bulk": ("jobs with a rate for each of 1 000 keys: bulk, jobs/s", ",.0f"),
    "rated_drain": ("the same: drain, jobs/s", ",.0f"),
    "drain_beside_lane": ("drain beside {lane} jobs in one full lane, jobs/s", ",.0f"),
}


@dataclass(frozen=True)
class Report:
    """One run, ready to be written."""

    entries: Mapping[str, Entry]
    facts: Mapping[str, Any]
    """Date, machine, server and sizes."""

    @classmethod
    def of(cls, runner: Runner, **facts: Any) -> Report:
        """Return the report of a run that is over."""
        date = datetime.now(UTC).strftime("%Y-%m-%d")
        return cls(runner.entries, {"date": date, **facts, "sizes": asdict(runner.sizes)})

    def write(self, page: Path, data: Path) -> None:
        """Write the page and the data."""
        data.parent.mkdir(parents=True, exist_ok=True)
        entries = {
            name: {
                "title": title(name),
                **asdict(entry),
                "medians": entry.medians(),
            }
            for name, entry in self.entries.items()
        }
        data.write_text(json.dumps({**self.facts, "peers": entries}, indent=1) + "\n")
        page.write_text(self.page(picture=page.with_suffix(".png").name))

    async def plot(self, page: Path, data: Path) -> None:
        """Draw the picture beside the page. Raises CannotInstallError."""
        python = await environments.venv("plot", environments.PLOT)
        script = Path(__file__).parent / "plot.py"
        picture = page.with_suffix(".png")
        await environments.run(str(python), str(script), str(data), str(picture))

    def table(self) -> str:
        """Return the medians of everyone, and our own."""
        parts = [self._peers(), self._own()]
        return "\n\n".join(part for part in parts if part)

    def page(self, picture: str) -> str:
        """Return the whole page in Markdown."""
        server, sizes = self.facts["server"], self.facts["sizes"]
        run = (
            f"{self.facts['date']}, {self.facts['repetitions']} repetition(s) in "
            f"{self.facts['seconds'] / 60:.0f} minutes; medians."
        )
        parts = [
            "# Results",
            f"Written by `python -m benchmarks`. {run}\n"
            "Ratios count; absolute figures are this machine's.",
            QUICK if self.facts["quick"] else "",
            f"![the figures as bars]({picture})",
            "## Side by side",
            self._peers(),
            "As a ratio to ours, above 1 is better than ours:" if self._ratios() else "",
            self._ratios(),
            "## Ours in more situations" if self._own() else "",
            self._own(),
            "## What was measured",
            _list({one.__name__: _paragraph(one) for one in (*EVERYONE, *OURS)}),
            "## On what",
            _list(self.facts["machine"]),
            "PostgreSQL beside the clients, one server for all, an empty database for each "
            "measurement, all peers in turn within each repetition:",
            _list(server),
            "Sizes: " + ", ".join(f"{name} {value:,}" for name, value in sizes.items()) + ".",
            "## How each was run",
            "All Python clients and workers run on uvloop, each peer in an environment of its own.",
            self._settings(),
        ]
        return "\n\n".join(part for part in parts if part) + "\n"

    def _peers(self) -> str:
        columns = [column for column in COLUMNS if self._has(column)]
        header = ["", *(column.title.format(**self._sizes()) for column in columns)]
        rows = [
            [title(name), *(_cell(entry, column) for column in columns)]
            for name, entry in self.entries.items()
        ]
        return _table(header, rows)

    def _ratios(self) -> str:
        if "ours" not in self.entries or len(self.entries) <= 2:
            return ""
        ours = self.entries["ours"].medians()
        columns = [column for column in COLUMNS if ours.get(column.figure)]
        rows = []
        for name, entry in self.entries.items():
            found = entry.medians()
            cells = [_ratio(found, ours, column) for column in columns]
            if name != "ours" and any(cells):
                rows.append([title(name), *cells])
        header = ["", *(column.title.format(**self._sizes()) for column in columns)]
        return _table(header, rows)

    def _own(self) -> str:
        if "ours" not in self.entries:
            return ""
        entry = self.entries["ours"]
        found = entry.medians()
        rows = [
            [text.format(**self._sizes()), format(found[figure], form)]
            for figure, (text, form) in OWN.items()
            if figure in found
        ]
        rows += [[name.replace("_", " "), reason] for name, reason in entry.reasons.items()]
        return _table(["asyncjobs", "median"], rows) if rows else ""

    def _settings(self) -> str:
        lines = {}
        for name, entry in self.entries.items():
            version = f" {entry.version} on {entry.runtime}" if entry.version else ""
            lines[f"{title(name)}{version}"] = _settings(name)
        return _list(lines)

    def _has(self, column: Column) -> bool:
        return any(column.figure in entry.figures for entry in self.entries.values())

    def _sizes(self) -> dict[str, str]:
        return {name: f"{value:,.0f}" for name, value in self.facts["sizes"].items()}


def title(name: str) -> str:
    """Return what a row is called."""
    return limit.TITLE if name == LIMIT else load(name).title


def _settings(name: str) -> str:
    module = limit if name == LIMIT else importlib.import_module(f"benchmarks.peers.{name}")
    return _paragraph(module)


def _paragraph(documented: object) -> str:
    return " ".join((inspect.getdoc(documented) or "").split())


def _cell(entry: Entry, column: Column) -> str:
    values = entry.medians()
    if column.figure in values:
        return format(values[column.figure], column.form)
    if column is COLUMNS[0] and "*" in entry.reasons:
        return entry.reasons["*"]
    return entry.reasons.get(column.scenario, "")


def _ratio(found: Mapping[str, float], ours: Mapping[str, float], column: Column) -> str:
    if not found.get(column.figure):
        return ""
    return format((found[column.figure] / ours[column.figure]) ** column.faster, ".2f")


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _list(items: Mapping[str, str]) -> str:
    return "\n".join(f"- **{name}**: {text}" for name, text in items.items())
