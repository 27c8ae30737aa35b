"""mypy and pyright accept what is right and report what is wrong, on the very lines."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RIGHT, WRONG = HERE / "right_uses.py", HERE / "wrong_uses.py"

pytestmark = pytest.mark.timeout(300)

Reports = dict[int, str]
"""What is said of a file, by line."""


def run(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode in {0, 1}, done.stdout + done.stderr  # others: it could not look
    return done.stdout


def mypy() -> dict[Path, Reports]:
    found: dict[Path, Reports] = {RIGHT: {}, WRONG: {}}
    options = ["--strict", "--no-error-summary", "--no-pretty"]
    for line in run("mypy", *options, str(RIGHT), str(WRONG)).splitlines():
        report = re.match(r"(?P<path>.+?):(?P<line>\d+): error: (?P<text>.*)", line)
        if report and (path := ROOT / report["path"]) in found:
            found[path][int(report["line"])] = report["text"]
    return found


def pyright() -> dict[Path, Reports]:
    found: dict[Path, Reports] = {RIGHT: {}, WRONG: {}}
    options = ["--outputjson", "--pythonpath", sys.executable]
    answer = json.loads(run("pyright", *options, str(RIGHT), str(WRONG)))
    assert answer["summary"]["filesAnalyzed"] == 2
    for report in answer["generalDiagnostics"]:
        line = report["range"]["start"]["line"] + 1
        found[Path(report["file"])][line] = report["message"]
    return found


def marked(path: Path) -> set[int]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return {number for number, line in enumerate(lines, 1) if "# wrong: " in line}


@pytest.fixture(scope="module", params=[mypy, pyright], ids=lambda checker: checker.__name__)
def reports(request: pytest.FixtureRequest) -> dict[Path, Reports]:
    found: dict[Path, Reports] = request.param()
    return found


def test_right_uses_are_accepted(reports: dict[Path, Reports]) -> None:
    assert reports[RIGHT] == {}


def test_wrong_uses_are_reported_and_nothing_else_is(reports: dict[Path, Reports]) -> None:
    found = reports[WRONG]

    unreported = sorted(marked(WRONG) - set(found))
    unmarked = {line: text for line, text in found.items() if line not in marked(WRONG)}

    assert unreported == []
    assert unmarked == {}
