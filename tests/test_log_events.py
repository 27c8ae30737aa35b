"""The table of docs/logs.md has every event that the source logs, with its level and facts."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LEVELS = {"debug", "info", "warning", "error", "critical", "exception"}
EVENT = re.compile(r"[a-z_]+\.[a-z_]+")
PASSES_ON = "asyncjobs/logs.py"
"""It says again what it was told; all others name their event where they log it."""


@dataclass
class Event:
    """What one event is said with."""

    levels: set[str] = field(default_factory=set)
    facts: set[str] = field(default_factory=set)
    is_open: bool = False
    """Whether some call adds facts that cannot be read off it."""


def logged() -> dict[str, Event]:
    found: dict[str, Event] = {}
    for path in sorted((ROOT / "asyncjobs").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if is_line(node):
                name = name_of(node, path)
                if name is not None:
                    add(found.setdefault(name, Event()), node)
    return found


def is_line(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    return node.func.attr.lstrip("_") in LEVELS


def name_of(node: ast.Call, path: Path) -> str | None:
    if not node.args:  # as task.exception()
        return None
    event = node.args[0]
    if isinstance(event, ast.Constant) and isinstance(event.value, str):
        assert EVENT.fullmatch(event.value), f"{path}:{node.lineno}: {event.value!r}"
        return event.value
    assert path == ROOT / PASSES_ON, f"{path}:{node.lineno} logs an event that is no text"
    return None


def add(event: Event, node: ast.Call) -> None:
    event.levels.add(node.func.attr.lstrip("_"))
    event.facts |= {each.arg for each in node.keywords if each.arg} - {"exc_info"}
    event.is_open |= any(each.arg is None for each in node.keywords)


def documented() -> dict[str, Event]:
    _, _, table = (ROOT / "docs/logs.md").read_text(encoding="utf-8").partition("<!-- events -->\n")
    found = {}
    for line in table.split("\n\n")[0].strip().splitlines()[2:]:
        name, levels, facts, _ = [cell.strip() for cell in line.strip("|").split(" |")]
        assert name.strip("`") not in found, f"{name} is there twice"
        found[name.strip("`")] = Event(set(levels.split(", ")), set(re.findall(r"`(\w+)`", facts)))
    return found


LOGGED, DOCUMENTED = logged(), documented()


def test_every_event_is_documented_and_no_other() -> None:
    assert sorted(DOCUMENTED) == sorted(LOGGED)


@pytest.mark.parametrize("name", sorted(LOGGED))
def test_an_event_is_documented_with_its_levels_and_facts(name: str) -> None:
    real, told = LOGGED[name], DOCUMENTED[name]
    assert told.levels == real.levels
    assert told.facts >= real.facts
    assert real.is_open or told.facts == real.facts


def test_an_event_that_somebody_is_told_to_look_for_is_one() -> None:
    files = [*(ROOT / "asyncjobs").rglob("*.py"), *(ROOT / "docs" / "monitoring").glob("*.yml")]
    told = {
        name
        for path in files
        for name in re.findall(r"look for ([a-z_]+\.[a-z_]+)", path.read_text(encoding="utf-8"))
    }
    assert told
    assert told <= set(logged())
