"""Importing the package is cheap: what is heavy comes in when it is used."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import asyncjobs

NEVER = [
    "jinja2",
    "opentelemetry",
    "psutil",
    "rich",
    "starlette",
    "structlog",
    "typer",
    "watchfiles",
    "uvloop",
]
"""What neither the package nor the names of every application bring along."""
HEAVY = [*NEVER, "anyio", "asyncpg", "asyncio", "cronsim", "pydantic", "pydantic_core"]


def imported_by(statement: str) -> set[str]:
    """Return the modules that a fresh Python has after *statement*."""
    code = f"{statement}; import json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_importing_the_package_imports_nothing_heavy() -> None:
    assert not imported_by("import asyncjobs") & {*HEAVY, "asyncjobs.errors", "asyncjobs.manager"}


def test_an_application_that_schedules_brings_in_neither_the_workers_nor_what_they_need() -> None:
    statement = "from asyncjobs import JobManager, MemoryAdapter, PostgresAdapter, WorkerGroup"
    assert not imported_by(statement) & {*NEVER, "asyncjobs.worker", "asyncjobs.dashboard"}


def test_every_public_name_is_where_type_checkers_see_it() -> None:
    tree = ast.parse(Path(asyncjobs.__file__).read_text(encoding="utf-8"))
    [block] = [node for node in tree.body if isinstance(node, ast.If) and node.lineno < 20]
    seen = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert sorted(seen) == sorted(asyncjobs.__all__)
    for name, module in seen.items():
        home = asyncjobs._HOMES.get(name, "errors")
        assert f"asyncjobs.{home}" == module, name
        assert getattr(asyncjobs, name).__name__ == name


def test_a_name_that_does_not_exist_is_an_error_and_not_another_import() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'WorkerGrup'"):
        _ = asyncjobs.WorkerGrup  # type: ignore[attr-defined]
    with pytest.raises(ImportError):
        exec("from asyncjobs import WorkerGrup")
    assert {"WorkerGroup", "__version__"} & set(dir(asyncjobs)) == {"WorkerGroup"}


def test_the_errors_can_be_reached_from_the_package() -> None:
    code = "import asyncjobs; print(asyncjobs.errors.ConfigError is asyncjobs.ConfigError)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
