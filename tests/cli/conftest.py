"""The command ``asyncjobs`` called in this process, in a folder of its own."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import pytest
import structlog
from shell import Shell

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def shell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Shell]:
    """A shell in an empty folder; what commands change in this process is undone."""
    monkeypatch.setenv("ASYNCJOBS_SET", "")  # what `--set` changes is undone
    for name in ("ASYNCJOBS_APP", "ASYNCJOBS_DATABASE_URL", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    root = logging.getLogger()
    handlers, level, modules = root.handlers[:], root.level, set(sys.modules)
    yield Shell(tmp_path, capsys)
    structlog.reset_defaults()
    root.handlers, root.level = handlers, level
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]
