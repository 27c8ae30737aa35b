from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import asyncpg
import pytest

if TYPE_CHECKING:
    from pathlib import Path


def bench(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "asyncjobs", "bench", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


async def test_bench_measures_and_leaves_nothing_behind(empty_dsn: str, tmp_path: Path) -> None:
    run = bench(tmp_path, "--dsn", empty_dsn, "--seconds", "2")
    assert run.returncode == 0, run.stderr
    figures = re.findall(r"([\d,.]+) (jobs/s|ms)", run.stdout)
    assert [unit for _, unit in figures] == ["jobs/s"] * 4 + ["ms"] * 2
    assert all(float(value.replace(",", "")) > 0 for value, _ in figures)
    connection = await asyncpg.connect(empty_dsn)
    schemas = await connection.fetchval(
        "select count(*) from pg_namespace where nspname like 'asyncjobs%'"
    )
    await connection.close()
    assert schemas == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--seconds", "0"), "seconds must be from 1 to 3600 s, got 0"),
        (("--dsn", "postgresql://nobody@127.0.0.1:1/x"), "the database is not available"),
    ],
)
def test_bench_says_what_is_wrong(
    empty_dsn: str, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    given = options if "--dsn" in options else ("--dsn", empty_dsn, *options)
    run = bench(tmp_path, *given)
    assert run.returncode in {1, 2}
    assert message in run.stderr
    assert "Traceback" not in run.stderr
