"""Log lines go where the application says; without a word from it, plainly to stderr."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

import pytest
import structlog
from structlog.testing import LogCapture

from asyncjobs import JobManager, MemoryAdapter
from asyncjobs.logs import FOLDED_FOR, FoldingLog, get_logger

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "hunter" + "2"


@pytest.fixture(autouse=True)
def unconfigured() -> Iterator[None]:
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def fail(password: str) -> None:
    local = password
    raise ValueError(f"wrong password of {len(local)} characters")


def test_unconfigured_lines_from_info_on_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    log = get_logger()

    log.debug("job.claimed", id=1)
    log.info("job.started", id=2)
    log.warning("job.retried", id=3)
    log.error("job.failed", id=4)

    out, err = capsys.readouterr()
    assert out == ""
    assert "job.claimed" not in err
    for event, level in [("started", "info"), ("retried", "warning"), ("failed", "error")]:
        [line] = [line for line in err.splitlines() if f"job.{event}" in line]
        assert f"[{level}" in line
        assert "[asyncjobs]" in line


def test_an_unconfigured_traceback_shows_no_local_variables(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log = get_logger()
    try:
        fail(SECRET)
    except ValueError as error:
        log.error("job.failed", exc_info=error)
        log.exception("job.failed")

    err = capsys.readouterr().err
    assert err.count("ValueError: wrong password of 7 characters") == 2
    assert "in fail" in err
    assert SECRET not in err


def test_unconfigured_lines_to_a_file_have_no_colours(capsys: pytest.CaptureFixture[str]) -> None:
    get_logger().error("job.failed", id=4)

    assert "\x1b" not in capsys.readouterr().err


def test_unconfigured_lines_have_what_the_application_bound_to_its_context(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log = get_logger()
    with structlog.contextvars.bound_contextvars(request="r-17"):
        log.info("job.scheduled")

    assert "request=r-17" in capsys.readouterr().err


def test_using_this_package_does_not_configure_structlog_or_logging() -> None:
    handlers = list(logging.getLogger().handlers)

    get_logger().debug("job.claimed")

    assert not structlog.is_configured()
    assert logging.getLogger().handlers == handlers


def test_a_configured_structlog_gets_every_line(capsys: pytest.CaptureFixture[str]) -> None:
    capture = LogCapture()
    structlog.configure(processors=[capture])

    get_logger().debug("job.claimed", id=1)

    assert capture.entries == [
        {"event": "job.claimed", "id": 1, "log_level": "debug", "logger": "asyncjobs"}
    ]
    assert capsys.readouterr().err == ""


def test_a_manager_logs_to_the_logger_that_it_was_given() -> None:
    capture = LogCapture()
    logger = structlog.wrap_logger(None, processors=[capture])

    given = JobManager(adapters={"memory": MemoryAdapter()}, logger=logger)

    assert given.logger is logger


def test_a_manager_without_a_logger_follows_a_configuration_that_comes_later() -> None:
    jobs = JobManager(adapters={"memory": MemoryAdapter()})
    capture = LogCapture()
    structlog.configure(processors=[capture])

    jobs.logger.info("worker.started")

    assert [entry["event"] for entry in capture.entries] == ["worker.started"]


def test_a_warning_of_an_outage_is_said_once_a_minute_and_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    capture, now = LogCapture(), [1_000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    log = FoldingLog(structlog.wrap_logger(None, processors=[capture]))
    for _ in range(10):
        log.warning("claim.failed", error="down")
        log.warning("job.retried", error="its own")
    log.warning("claim.failed", error="another")
    now[0] += FOLDED_FOR
    log.warning("claim.failed", error="down")
    outage = [line for line in capture.entries if line["event"] == "claim.failed"]
    assert [(line["error"], line.get("repeated")) for line in outage] == [
        ("down", None),
        ("another", None),
        ("down", 9),
    ]
    assert len(capture.entries) == 10 + len(outage)


def test_a_warning_from_another_thread_disturbs_no_look_at_what_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("asyncjobs.logs.FOLDED_FOR", 0.0)
    capture = LogCapture()
    log = FoldingLog(structlog.wrap_logger(None, processors=[capture]))
    other = threading.Thread(target=log.warning, args=["claim.failed"], kwargs={"error": "its own"})

    class Error:
        def __hash__(self) -> int:  # called in the middle of the look
            if log._said and other.ident is None:
                other.start()
                other.join(0.1)  # it may have to wait until the look is over
            return 1

    log.warning("claim.failed", error=Error())
    log.tick()
    other.join()
    assert [line["event"] for line in capture.entries] == ["claim.failed"] * 2


def test_what_was_folded_is_told_when_the_minute_is_over_and_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    capture, now = LogCapture(), [1_000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    log = FoldingLog(structlog.wrap_logger(None, processors=[capture]))
    for _ in range(10):
        log.warning("claim.failed", error="down")
    log.tick()
    assert len(capture.entries) == 1
    now[0] += FOLDED_FOR
    log.tick()
    log.tick()
    log.warning("claim.failed", error="down")
    log.warning("claim.failed", error="down")
    log.close()
    assert [(line["event"], line.get("more"), line.get("seconds")) for line in capture.entries] == [
        ("claim.failed", None, None),
        ("log.folded", 9, FOLDED_FOR),
        ("claim.failed", None, None),
        ("log.folded", 1, 0),
    ]
