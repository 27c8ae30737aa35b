"""Which lines jobs have, and what lines that are written inside of a job say of it."""

from __future__ import annotations

import io
import logging
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from asyncjobs import (
    Cancel,
    ConfigError,
    JobManager,
    MemoryAdapter,
    Snooze,
    WorkerGroup,
    current_job,
)
from asyncjobs.config import LOG_PACE
from asyncjobs.integrations.logging import AddJob, add_job
from asyncjobs.redaction import Redaction
from asyncjobs.worker.job_log import FLOOD, WINDOW, JobLog

if TYPE_CHECKING:
    from collections.abc import Iterator


class Logged:
    """A manager in memory whose log is kept, from info on."""

    def __init__(self, *, redact: Any = None, carry: Any = (), **options: Any) -> None:
        capture = structlog.testing.LogCapture()
        logger = structlog.wrap_logger(
            None, processors=[capture], wrapper_class=structlog.make_filtering_bound_logger(20)
        )
        self.entries = capture.entries
        self.jobs = JobManager(
            adapters={"main": MemoryAdapter()},
            workers=[WorkerGroup(adapter="main", **options)],
            logger=logger,
            redact=redact,
            carry=carry,
        )
        self.later = self.jobs.create_scheduler(adapter="main")

        @self.jobs.job
        async def send(user: int, password: str = "") -> None: ...

        @self.jobs.job(max_attempts=1)
        async def fail(kind: str) -> None:
            raise {"value": ValueError, "key": KeyError}[kind](kind)

        self.send, self.fail = send, fail

    async def run(self, *calls: Any) -> None:
        async with self.jobs:
            await self.later.many(calls)
            await self.jobs.workoff()

    def lines(self, *events: str) -> list[dict[str, Any]]:
        return [line for line in self.entries if line["event"] in events]


async def test_a_job_that_succeeds_has_one_line() -> None:
    logged = Logged()
    await logged.run(logged.send(7, "hunter2"))
    [line] = [line for line in logged.entries if line.get("id") == 1]
    assert line.pop("seconds") >= 0
    assert line == {
        "event": "job.succeeded",
        "log_level": "info",
        "worker": "*.0.0",
        "job": "send",
        "id": 1,
        "queue": "default",
        "attempt": 1,
    }


async def test_many_successes_of_a_second_are_counted() -> None:
    logged = Logged()
    count = 500
    await logged.run(*(logged.send(n) for n in range(count)))
    told = logged.lines("job.succeeded")
    more = logged.lines("jobs.succeeded")
    assert LOG_PACE <= len(told) < count / 2
    assert len(told) + sum(line["more"] for line in more) == count


@pytest.mark.parametrize(("log_jobs", "lines"), [("all", 200), ("failures", 0), (1, 200), (0, 0)])
async def test_all_or_none_of_the_successes_can_be_told(log_jobs: Any, lines: int) -> None:
    logged = Logged(log_jobs=log_jobs)
    await logged.run(*(logged.send(n) for n in range(200)), logged.fail("key"))
    assert len(logged.lines("job.succeeded")) == lines
    assert not logged.lines("jobs.succeeded")
    assert len(logged.lines("job.failed")) == 1  # never hidden


async def test_a_share_of_the_successes_is_always_the_same() -> None:
    told = []
    for _ in range(2):
        logged = Logged(log_jobs=0.1)
        await logged.run(*(logged.send(n) for n in range(1_000)))
        told.append({line["id"] for line in logged.lines("job.succeeded")})
    assert told[0] == told[1]
    assert 80 <= len(told[0]) <= 120


@pytest.mark.parametrize("log_jobs", ["some", "", -0.1, 1.1, True, None])
def test_log_jobs_is_a_word_or_a_share(log_jobs: Any) -> None:
    with pytest.raises(ConfigError, match=r"log_jobs must be .*got"):
        WorkerGroup(adapter="main", log_jobs=log_jobs)


@pytest.mark.parametrize(
    ("redact", "args"),
    [
        (None, {"user": 7, "password": "[hidden]"}),
        (["user"], {"user": "[hidden]", "password": "hunter2"}),
        (lambda job, args: {"job": job, "of": sorted(args)}, None),
        (lambda job, args: args["key"], {"args": "[hidden: redact raised KeyError]"}),
    ],
)
async def test_arguments_are_told_if_asked_for_and_redacted(redact: Any, args: Any) -> None:
    logged = Logged(redact=redact, log_arguments=True)
    await logged.run(logged.send(7, "hunter2"), logged.fail("key"))
    [line] = logged.lines("job.succeeded")
    assert line["args"] == (args or {"job": "send", "of": ["password", "user"]})
    [failed] = logged.lines("job.failed")
    assert "args" in failed


async def test_a_flood_of_one_error_is_folded_and_counted() -> None:
    logged = Logged()
    await logged.run(*(logged.fail("value") for _ in range(50)), *(logged.fail("key"),) * 3)
    failed = logged.lines("job.failed")
    assert [line["error"].partition("(")[0] for line in failed].count("ValueError") == FLOOD
    assert [line["error"].partition("(")[0] for line in failed].count("KeyError") == 3
    [folded] = logged.lines("log.folded")  # said at the end of the worker
    assert folded["seconds"] >= 0
    assert (folded["folded"], folded["job"], folded["error"]) == (
        "job.failed",
        "fail",
        "ValueError",
    )
    assert (folded["more"], folded["last_id"]) == (50 - FLOOD, 50)


def test_a_flood_is_told_of_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    capture, now = structlog.testing.LogCapture(), [1_000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    log = structlog.wrap_logger(None, processors=[capture]).bind()
    lines = JobLog(log, WorkerGroup(adapter="main"), Redaction(()))
    row = SimpleNamespace(name="fail", queue="default", attempt=1, id=0)
    attempt: Any = SimpleNamespace(row=row, began=0.0)
    decision: Any = SimpleNamespace(
        outcome=SimpleNamespace(state="scheduled", delay=1.0), error=ValueError("no"), reason=None
    )

    def fail(times: int) -> None:
        for _ in range(times):
            row.id += 1
            lines.ended(attempt, decision)

    fail(FLOOD + 5)
    lines.tick()
    assert {line["event"] for line in capture.entries} == {"job.retried"}
    now[0] += WINDOW
    lines.tick()
    lines.tick()
    [folded] = [line for line in capture.entries if line["event"] == "log.folded"]
    assert (folded["more"], folded["last_id"], folded["seconds"]) == (5, FLOOD + 5, WINDOW)
    fail(1)  # it is told anew
    assert capture.entries[-1]["id"] == FLOOD + 6
    fail(FLOOD)
    lines.close()
    assert capture.entries[-1]["more"] == 1
    fail(1)  # nobody would tell of it any more
    assert capture.entries[-1]["id"] == 2 * FLOOD + 7


async def test_every_other_end_has_its_line_too() -> None:
    logged = Logged(log_jobs="failures")

    @logged.jobs.job
    async def stop() -> None:
        raise Cancel("no such user")

    @logged.jobs.job
    async def wait() -> None:
        raise Snooze(3_600)

    await logged.run(stop(), wait())
    [cancelled], [snoozed] = logged.lines("job.cancelled"), logged.lines("job.snoozed")
    assert (cancelled["reason"], snoozed["delay"]) == ("no such user", 3_600)
    assert cancelled["queue"] == snoozed["queue"] == "default"


@pytest.fixture
def records() -> Iterator[io.StringIO]:
    """What the logger ``shop`` of the standard library writes, with `AddJob`."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(AddJob())
    handler.setFormatter(
        logging.Formatter("%(job)s %(job_id)s %(queue)s %(attempt)s %(worker)s|%(message)s")
    )
    logger = logging.getLogger("shop")
    logger.addHandler(handler)
    yield stream
    logger.removeHandler(handler)


async def test_the_standard_library_knows_the_job_in_coroutines_and_threads(
    records: io.StringIO,
) -> None:
    logged = Logged()

    @logged.jobs.job
    async def one() -> None:
        logging.getLogger("shop").warning("in a coroutine")

    @logged.jobs.job
    def two() -> None:
        assert threading.current_thread() is not threading.main_thread()
        logging.getLogger("shop").warning("in a thread")

    await logged.run(one(), two())
    logging.getLogger("shop").warning("outside")
    assert sorted(records.getvalue().splitlines()) == [
        "- - - - -|outside",
        "one 1 default 1 *.0.0|in a coroutine",
        "two 2 default 1 *.0.0|in a thread",
    ]


async def test_what_a_record_says_itself_stays_and_what_was_carried_is_added() -> None:
    logged = Logged(carry=["request_id"])
    seen: list[logging.LogRecord] = []
    events: list[Any] = []

    @logged.jobs.job
    async def one() -> None:
        record = logging.makeLogRecord({"queue": "its own"})
        assert AddJob().filter(record)
        seen.append(record)
        events.append(add_job(None, "info", {"event": "x", "id": "its own"}))
        events.append(current_job().log_facts)

    with structlog.contextvars.bound_contextvars(request_id="r-7"):
        await logged.run(one())
    [record] = seen
    assert (record.job, record.queue, record.request_id) == ("one", "its own", "r-7")
    told = {"job": "one", "queue": "default", "attempt": 1, "worker": "*.0.0", "request_id": "r-7"}
    assert events == [{"event": "x", "id": "its own", **told}, {"id": 1, **told}]
    assert add_job(None, "info", {"event": "x"}) == {"event": "x"}  # outside
