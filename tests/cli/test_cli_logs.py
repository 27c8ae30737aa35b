"""What the command's log looks like."""

from __future__ import annotations

import io
import json
import logging
import sys
from typing import TYPE_CHECKING

import structlog

from asyncjobs.cli.logs import configure_logging
from asyncjobs.cli.settings import LogFormat

if TYPE_CHECKING:
    import pytest
    from shell import Shell


def lines(shell: Shell) -> list[dict[str, str]]:
    return [json.loads(line) for line in shell.capture.readouterr().err.splitlines()]


def fail() -> None:
    secret = "pass" + "word"
    raise ValueError(f"no luck with {len(secret)} letters")


def test_without_a_terminal_lines_are_json_with_the_traceback_as_text(shell: Shell) -> None:
    configure_logging(verbose=False, log_format=LogFormat.AUTO)
    try:
        fail()
    except ValueError:
        structlog.get_logger().exception("job.failed", id=7, args=object)
    [line] = lines(shell)
    assert (line["event"], line["level"], line["id"]) == ("job.failed", "error", 7)
    assert "ValueError: no luck" in line["exception"]
    assert line["timestamp"].endswith("Z")


def test_the_standard_librarys_lines_look_the_same(shell: Shell) -> None:
    configure_logging(verbose=False, log_format=LogFormat.JSON)
    logging.getLogger("shop").warning("only %d left", 3)
    [line] = lines(shell)
    assert (line["event"], line["level"], line["logger"]) == ("only 3 left", "warning", "shop")


def test_debug_lines_are_for_the_verbose(shell: Shell) -> None:
    for verbose in (False, True):
        structlog.reset_defaults()
        configure_logging(verbose=verbose, log_format=LogFormat.JSON)
        structlog.get_logger().debug("worker.spawned")
        assert len(lines(shell)) == verbose


def test_pretty_lines_have_tracebacks_without_local_variables(shell: Shell) -> None:
    configure_logging(verbose=False, log_format=LogFormat.PRETTY)
    try:
        fail()
    except ValueError:
        structlog.get_logger().exception("job.failed", id=7)
    text = shell.capture.readouterr().err
    assert "job.failed" in text
    assert "id=7" in text
    assert "ValueError: no luck" in text
    assert "password" not in text
    assert "\x1b[" not in text


def test_a_terminal_gets_pretty_lines_wherever_stderr_goes_now(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    configure_logging(verbose=False, log_format=LogFormat.AUTO)
    log = structlog.get_logger()
    log.info("worker.started")
    assert "worker.started" in terminal.getvalue()
    assert not terminal.getvalue().startswith("{")
    replaced = Terminal()
    monkeypatch.setattr(sys, "stderr", replaced)
    log.info("worker.stopped")
    assert "worker.stopped" in replaced.getvalue()


def test_a_closed_terminal_is_no_error(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(sys, "stderr", Closed())
    configure_logging(verbose=False, log_format=LogFormat.JSON)
    structlog.get_logger().info("worker.stopping")
    logging.getLogger("shop").warning("nobody reads this")
