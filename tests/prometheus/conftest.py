"""The real Prometheus and its `promtool`. `make test-prometheus` installs them."""

from __future__ import annotations

import shutil
import socket
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.prometheus.server import Prometheus

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PATIENCE = 60.0


@pytest.fixture
def promtool() -> Callable[..., str]:
    """Run `promtool`, which must be content, and return what it says."""
    program = installed("promtool")

    def run(*arguments: str, given: str | None = None) -> str:
        done = subprocess.run(
            [program, *arguments],
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture
def prometheus(tmp_path: Path) -> Callable[[dict[str, Any]], Prometheus]:
    """Make a server, by its configuration."""
    program = installed("prometheus")

    def run(configuration: dict[str, Any]) -> Prometheus:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        return Prometheus(program, tmp_path, port, configuration)

    return run


def installed(name: str) -> str:
    """Return the path of a program."""
    if (program := shutil.which(name)) is None:
        pytest.skip(f"{name} is not installed; `make test-prometheus` does that")
    return program
