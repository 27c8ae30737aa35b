"""The project as it was before a migration was added, taken out of git."""

from __future__ import annotations

import io
import subprocess
import tarfile
from typing import TYPE_CHECKING

from crew import ROOT

from asyncjobs.storage.postgres.migrate import all_migrations

if TYPE_CHECKING:
    from pathlib import Path


class NoHistoryError(Exception):
    """There is no git here, or its history does not go back far enough."""


def git(*arguments: str) -> bytes:
    """Return what a command of git says about this project."""
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, check=False
        )
    except OSError as error:
        raise NoHistoryError(str(error)) from error
    if done.returncode:
        raise NoHistoryError(done.stderr.decode().strip())
    return done.stdout


def commit_before(version: int) -> str:
    """Return the last commit whose code did not know migration number *version*."""
    if git("rev-parse", "--show-prefix").strip():
        raise NoHistoryError(f"{ROOT} is in a repository of something else")
    [step] = [step for step in all_migrations() if step.version == version]
    path = f"sql/migrations/{step.name}.sql"
    added = git("log", "--diff-filter=A", "--format=%H", "--", path).decode().split()
    if not added:
        raise NoHistoryError(f"{path} is not committed")
    return git("rev-parse", "--verify", f"{added[-1]}^").decode().strip()


def unpack_code_before(version: int, folder: Path) -> Path:
    """Put the code that did not know migration number *version* into *folder*; return it."""
    archive = git("archive", commit_before(version), "asyncjobs", "sql")
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    return folder
