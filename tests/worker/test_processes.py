"""Jobs in processes of their own: what comes back, what is told meanwhile, and how they end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import anyio
import fastapi
import psutil
import pytest

from asyncjobs import ConfigError, JobEvent, JobManager, MemoryAdapter
from asyncjobs.worker import processes, progress
from asyncjobs.worker.progress import ProgressWriter
from tests.worker import process_jobs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

HOUR = timedelta(hours=1)
PATIENCE = 30
"""Seconds."""


@pytest.fixture
async def make_process_bench(make_bench: Any) -> Any:
    async def make(**options: Any) -> Any:
        bench = await make_bench(delete_successful_jobs=False, **options)
        for job in process_jobs.registered.registry:
            bench.jobs.registry.add(job)
        return bench

    return make


async def next_where(events: AsyncIterator[JobEvent], **facts: Any) -> JobEvent:
    with anyio.fail_after(PATIENCE):
        async for event in events:
            if all(getattr(event, name) == fact for name, fact in facts.items()):
                return event
    raise AssertionError(f"the events ended without {facts}")


async def until_written(path: Path) -> str:
    place = anyio.Path(path)
    with anyio.fail_after(PATIENCE):
        while not await place.exists() or not await place.read_text():
            await asyncio.sleep(0.01)
    return await place.read_text()


async def until_dead(pid: int) -> None:
    with anyio.fail_after(PATIENCE), contextlib.suppress(psutil.NoSuchProcess):
        while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            await asyncio.sleep(0.01)


async def test_a_job_runs_in_a_process_of_its_own(make_process_bench: Any, tmp_path: Path) -> None:
    bench = await make_process_bench()
    path = tmp_path / "told"
    results: list[int] = []

    @bench.jobs.hooks.after_success
    def note(job: Any, result: Any) -> None:
        results.append(result)

    stored = await bench.later(process_jobs.tell(str(path)), meta={"tenant": 7})
    await bench.later(process_jobs.crunch(12))
    await bench.jobs.workoff()
    told, pid = path.read_text().rsplit(" ", 1)
    assert told == f"{stored.id} tell 1 {{'tenant': 7}}"
    assert int(pid) != psutil.Process().pid
    assert sorted(results, key=str) == [144, None]
    assert await process_jobs.crunch(3) == 9


async def test_a_hook_enters_the_process_and_what_it_sets_stays_with_the_job(
    make_process_bench: Any,
) -> None:
    bench = await make_process_bench(processes=1)
    bench.jobs.hooks.enter_process(process_jobs.enter_tenant)
    calls = [
        await bench.later(process_jobs.tell_tenant(), meta={"tenant": number}) for number in (3, 4)
    ]
    await bench.jobs.workoff()
    assert [await job.result(20) for job in calls] == [3, 4]


@pytest.mark.parametrize(
    ("kind", "error", "message"),
    [
        ("value", "ValueError", "value"),
        ("retry", "Retry", "retry"),
        ("odd", "OddError", "does not survive pickling"),
        ("code", "CodeError", "code 5"),
        ("mute", "RuntimeError", "MuteError: (its message cannot be had: KeyError)"),
        ("object", "ValueError", "<object object at "),
        ("leaves", "LeavingError", "what it says"),
        ("dict", "BecomesDictError", "what it says"),
        ("die", "ProcessDiedError", "the job's process died"),
    ],
)
async def test_an_error_in_a_process_is_recorded_with_its_traceback(
    make_process_bench: Any, kind: str, error: str, message: str
) -> None:
    bench = await make_process_bench()
    stored = await bench.later(process_jobs.fail(kind))
    await bench.jobs.workoff()
    record = await bench.record(stored.id)
    assert record.state == "failed"
    [told] = json.loads(record.errors)
    assert told["error"] == error
    assert told["message"].startswith(message)
    assert kind == "die" or "in fail" in told["traceback"]


async def test_a_job_in_a_process_is_told_that_it_cannot_schedule(make_process_bench: Any) -> None:
    bench = await make_process_bench()
    stored = await bench.later(process_jobs.schedule())
    await bench.jobs.workoff()
    [told] = json.loads((await bench.record(stored.id)).errors)
    assert told["error"] == "NotOpenError"
    assert told["message"] == (
        "the job 'schedule' has process=True, and in its process no job manager is open: return "
        "what an `async def` job or a hook is to schedule from, or call the SQL function `enqueue`"
    )


async def test_a_process_is_ended_with_its_attempt(make_process_bench: Any, tmp_path: Path) -> None:
    bench = await make_process_bench()
    path = tmp_path / "pid"
    stored = await bench.later(process_jobs.hang(str(path)))
    too_long = await bench.later(process_jobs.hang_too_long())
    async with bench.working():
        while not path.exists() or not path.read_text():
            await asyncio.sleep(0.01)
        assert await bench.later.cancel(stored.id)
        await bench.until(stored.id, "cancelled")
        record = await bench.until(too_long.id, "failed")
    assert "JobTimeoutError" in record.errors
    with anyio.fail_after(20):
        with contextlib.suppress(psutil.NoSuchProcess):
            while psutil.Process(int(path.read_text())).status() != psutil.STATUS_ZOMBIE:
                await asyncio.sleep(0.01)


async def test_processes_have_a_limit_of_their_own(make_process_bench: Any, tmp_path: Path) -> None:
    bench = await make_process_bench(concurrency=10, processes=2)
    await bench.later.many([process_jobs.overlap(str(tmp_path)) for _ in range(8)])
    await bench.jobs.workoff()
    counts = [int(line) for line in (tmp_path / "most").read_text().split()]
    assert len(counts) == 8
    assert max(counts) == 2


async def test_a_process_has_a_result(make_process_bench: Any) -> None:
    bench = await make_process_bench()
    squared = await bench.later(process_jobs.crunch(12), retain=60)
    await bench.jobs.workoff()
    assert await squared.result(PATIENCE) == 144


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        ("lambda", "pickle"),
        ("stops", "StopIteration came of reading its answer"),
        ("exits", "SystemExit came of reading its answer"),
    ],
)
async def test_a_result_that_cannot_be_moved_fails_its_job_only(
    make_process_bench: Any, kind: str, problem: str
) -> None:
    bench = await make_process_bench(processes=1)
    stored = await bench.later(process_jobs.return_oddly(kind))
    squared = await bench.later(process_jobs.crunch(12), retain=60)
    async with bench.working():
        record = await bench.until(stored.id, "failed")
        assert await squared.result(PATIENCE) == 144
    assert problem in record.errors


async def test_a_process_tells_its_progress_live(make_process_bench: Any, tmp_path: Path) -> None:
    bench = await make_process_bench()
    job = await bench.later(process_jobs.read(str(tmp_path)), retain=HOUR)
    events = job.events()
    async with bench.working():
        first = await next_where(events, progress=0.25)
        assert (first.message, first.attempt) == ("page 1", 1)
        (tmp_path / "go on").touch()
        # Said right after one that left, and never followed by another: it comes all the same.
        await next_where(events, progress=0.5)
        (tmp_path / "end").touch()
        await job.result(PATIENCE)
    stored = json.loads((await bench.record(job.id)).progress)
    assert stored == {"done": 1.0, "message": "all is read"}


async def test_a_million_words_of_a_process_are_few_on_the_way(
    make_process_bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    words: list[float] = []
    inner = ProgressWriter.put

    def put(self: Any, job: int, attempt: int, done: float, message: str | None) -> None:
        words.append(done)
        inner(self, job, attempt, done, message)

    monkeypatch.setattr(ProgressWriter, "put", put)
    bench = await make_process_bench()
    job = await bench.later(process_jobs.count(300_000), retain=HOUR)
    began = asyncio.get_running_loop().time()
    await bench.jobs.workoff()
    took = asyncio.get_running_loop().time() - began
    assert len(words) <= took / progress.PAUSE + 3
    assert words == sorted(words)
    stored = json.loads((await bench.record(job.id)).progress)
    assert stored == {"done": 1.0, "message": "x" * (progress.MAX_MESSAGE - 1) + "…"}


async def test_the_progress_of_a_process_goes_from_zero_to_one(make_process_bench: Any) -> None:
    bench = await make_process_bench()
    stored = await bench.later(process_jobs.advance(1.5))
    await bench.jobs.workoff()
    record = await bench.record(stored.id)
    assert record.progress is None
    assert "ProgressError" in record.errors
    assert "got 1.5" in record.errors


async def test_the_last_word_of_a_process_that_was_killed_in_time_is_kept(
    make_process_bench: Any,
) -> None:
    bench = await make_process_bench(processes=1)
    warm = await bench.later(process_jobs.own_pid(), retain=HOUR)
    async with bench.working():
        await warm.result(PATIENCE)  # starting a process may take longer than this max_runtime
        job = await bench.later(process_jobs.advance_too_long(), retain=HOUR)
        events = job.events()
        await next_where(events, progress=0.4)
        record = await bench.until(job.id, "failed")
    assert "JobTimeoutError" in record.errors
    assert json.loads(record.progress) == {"done": 0.4, "message": None}


async def test_a_word_after_the_end_of_an_attempt_is_ignored(
    make_process_bench: Any, tmp_path: Path
) -> None:
    bench = await make_process_bench(processes=1)
    path = tmp_path / "said"
    job = await bench.later(process_jobs.talk_on(str(path)), retain=HOUR)
    async with bench.working():
        pid = await job.result(PATIENCE)
        assert await until_written(path) == "said"
        next_one = await bench.later(process_jobs.own_pid(), retain=HOUR)
        assert await next_one.result(PATIENCE) == pid
    assert json.loads((await bench.record(job.id)).progress)["done"] == 0.5
    assert (await bench.record(next_one.id)).progress is None


async def test_what_a_job_prints_goes_to_stderr_however_much_it_is(
    make_process_bench: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    bench = await make_process_bench()
    job = await bench.later(process_jobs.print_much(), retain=HOUR)
    await bench.jobs.workoff()
    assert await job.result(PATIENCE) == "done"
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err.count("x" * 1_000) == 1_000
    assert "by another program" in printed.err


async def test_a_signal_to_all_processes_leaves_the_job_to_its_worker(
    make_process_bench: Any, tmp_path: Path
) -> None:
    bench = await make_process_bench()
    job = await bench.later(process_jobs.read(str(tmp_path)), retain=HOUR)
    async with bench.working():
        process = psutil.Process(int(await until_written(tmp_path / "pid")))
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        (tmp_path / "go on").touch()
        (tmp_path / "end").touch()
        await job.result(PATIENCE)
    assert (await bench.record(job.id)).attempt == 1


async def test_a_process_that_dies_is_noticed_though_what_it_started_lives(
    make_process_bench: Any, tmp_path: Path
) -> None:
    bench = await make_process_bench()
    path = tmp_path / "pid"
    stored = await bench.later(process_jobs.leave_one_behind(str(path)))
    try:
        async with bench.working():
            record = await bench.until(stored.id, "failed")
    finally:
        psutil.Process(int(await until_written(path))).kill()
    assert "ProcessDiedError" in record.errors


async def test_a_process_is_used_again_and_ends_when_it_is_idle(
    make_process_bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = await make_process_bench(processes=1)
    async with bench.working():
        pids = []
        for _ in range(2):
            job = await bench.later(process_jobs.own_pid(), retain=HOUR)
            pids.append(await job.result(PATIENCE))
        assert pids[0] == pids[1]
        monkeypatch.setattr(processes, "IDLE", 0.01)
        job = await bench.later(process_jobs.own_pid(), retain=HOUR)
        assert await job.result(PATIENCE) == pids[0]
        await until_dead(pids[0])
        job = await bench.later(process_jobs.own_pid(), retain=HOUR)
        assert await job.result(PATIENCE) != pids[0]


async def test_of_processes_that_ended_idle_nothing_is_left_open(
    make_process_bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = await make_process_bench(processes=1)
    monkeypatch.setattr(processes, "IDLE", 0.01)
    made: list[processes.Child] = []
    begin = processes.Child.connection_made

    def begin_and_note(self: processes.Child, transport: Any) -> None:
        made.append(self)
        begin(self, transport)

    monkeypatch.setattr(processes.Child, "connection_made", begin_and_note)
    async with bench.working():
        for _ in range(2):
            job = await bench.later(process_jobs.own_pid(), retain=HOUR)
            await until_dead(await job.result(PATIENCE))
    assert [child.is_closed for child in made] == [True, True]


async def test_a_process_that_died_idle_is_given_no_job_though_its_end_was_not_heard_of(
    make_process_bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = await make_process_bench(processes=1)
    mute, child = asyncio.Event(), processes.Child
    lose, end = child.pipe_connection_lost, child.process_exited

    def lose_and_note(self: processes.Child, fd: int, error: Exception | None) -> None:
        lose(self, fd, error)
        if fd == 1:
            mute.set()

    def end_later(self: processes.Child) -> None:
        asyncio.get_running_loop().call_later(0.5, end, self)

    async with bench.working():
        job = await bench.later(process_jobs.own_pid(), retain=HOUR)
        first = await job.result(PATIENCE)
        monkeypatch.setattr(child, "pipe_connection_lost", lose_and_note)
        monkeypatch.setattr(child, "process_exited", end_later)
        psutil.Process(first).kill()
        await mute.wait()
        job = await bench.later(process_jobs.own_pid(), retain=HOUR)
        assert await job.result(PATIENCE) != first


async def test_processes_end_with_their_worker(make_process_bench: Any) -> None:
    bench = await make_process_bench()
    job = await bench.later(process_jobs.own_pid(), retain=HOUR)
    await bench.jobs.workoff()
    with pytest.raises(psutil.NoSuchProcess):
        psutil.Process(await job.result(PATIENCE))


def start_worker(path: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", process_jobs.WORKER, str(path)])


async def test_a_process_dies_with_a_worker_that_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    worker = start_worker(path)
    try:
        pid = int(await until_written(path))
    finally:
        worker.kill()
        worker.wait()
    await until_dead(pid)


def test_jobs_of_the_main_program_run_in_processes_too(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(process_jobs.PROGRAM)
    ran = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert "Big(9)" in ran.stdout.splitlines()


@pytest.mark.parametrize("kind", ["async", "local", "depends"])
def test_what_cannot_run_in_a_process_is_refused(kind: str) -> None:
    jobs = JobManager(adapters={"main": MemoryAdapter()})

    async def coroutine() -> None: ...
    def local() -> None: ...

    function = {"async": coroutine, "local": local, "depends": needs_something}[kind]
    with pytest.raises(ConfigError, match="process=True"):
        jobs.job(process=True)(function)


def needs_something(thing: Any = fastapi.Depends(dict)) -> None: ...
