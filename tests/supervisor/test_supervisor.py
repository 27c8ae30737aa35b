"""The supervisor, with small programs in the place of workers."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import structlog
from structlog.testing import LogCapture

from asyncjobs.supervisor import Child, Exit, ProcessGroup, Supervisor
from asyncjobs.supervisor import group as group_module
from asyncjobs.supervisor import supervisor as supervisor_module

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator
    from pathlib import Path

BOUND = 20.0

WORKER = """
import os, pathlib, signal, sys, threading
folder, lifeline = pathlib.Path(sys.argv[1]), int(sys.argv[-1])
def say(word):
    with open(folder / "said", "a") as file:
        file.write(f"{word}\\n")
def on_signal(number, frame):
    say(signal.Signals(number).name)
    if "--dismissed" in sys.argv:
        os._exit(79)
    if "--stubborn" not in sys.argv and ("--slow" not in sys.argv or number == signal.SIGINT):
        os._exit(0)
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, on_signal)
say(os.getpid())
os.read(lifeline, 1)
say("alone")
"""


class Program:
    """A stand-in for a worker, which says what happens to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def group(self, *options: str, count: int = 1, timeout: float = 0.1) -> ProcessGroup:
        command = [sys.executable, "-S", "-c", WORKER, str(self.folder), *options]
        return ProcessGroup(
            name="default.0", count=count, command=lambda _: command, shutdown_timeout=timeout
        )

    def said(self) -> list[str]:
        path = self.folder / "said"
        return path.read_text().split() if path.exists() else []

    def pids(self) -> list[int]:
        return [int(word) for word in self.said() if word.isdigit()]

    async def wait_for(self, count: int) -> None:
        async with asyncio.timeout(BOUND):
            while len(self.said()) < count:
                await asyncio.sleep(0.01)


class Log:
    """What was logged, with an event for whoever waits for it."""

    def __init__(self) -> None:
        self.capture = LogCapture()
        self.logger = structlog.wrap_logger(None, processors=[self.capture])

    def named(self, name: str) -> list[dict[str, Any]]:
        return [dict(entry) for entry in self.capture.entries if entry["event"] == name]

    async def wait_for(self, name: str, count: int = 1) -> None:
        async with asyncio.timeout(BOUND):
            while len(self.named(name)) < count:
                await asyncio.sleep(0.01)


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path)


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture(autouse=True)
def no_process_left(program: Program) -> Iterator[None]:
    yield
    for pid in program.pids():
        if psutil.pid_exists(pid):
            os.kill(pid, signal.SIGKILL)


async def soon(what: Awaitable[Any]) -> Any:
    return await asyncio.wait_for(what, BOUND)


async def test_all_processes_of_a_group_run_and_end_with_exit_code_0(
    program: Program, log: Log
) -> None:
    supervisor = Supervisor([program.group(count=2)], logger=log.logger)
    running = asyncio.create_task(supervisor.run())
    await program.wait_for(2)
    supervisor.stop()
    assert await soon(running) == 0
    assert program.said()[2:] == ["SIGTERM", "SIGTERM"]


async def test_a_worker_that_was_told_to_stop_is_not_replaced_and_the_others_are_kept(
    program: Program, log: Log
) -> None:
    supervisor = Supervisor([program.group("--dismissed"), program.group()], logger=log.logger)
    running = asyncio.create_task(supervisor.run())
    await program.wait_for(2)
    for pid in program.pids():  # each ends in its way
        os.kill(pid, signal.SIGTERM)
    await log.wait_for("worker.gone")
    await program.wait_for(5)  # two, their signals, and the one that took a place
    supervisor.stop()
    assert await soon(running) == 0
    assert len(program.pids()) == 3
    assert len(log.named("worker.died")) == 1


async def test_a_supervisor_ends_once_all_workers_were_told_to_stop(
    program: Program, log: Log
) -> None:
    supervisor = Supervisor([program.group("--dismissed", count=2)], logger=log.logger)
    running = asyncio.create_task(supervisor.run())
    await program.wait_for(2)
    for pid in program.pids():
        os.kill(pid, signal.SIGTERM)
    assert await soon(running) == 0
    assert log.named("worker.died") == []


async def test_a_child_leads_its_own_session(program: Program, log: Log) -> None:
    supervisor = Supervisor([program.group()], logger=log.logger)
    running = asyncio.create_task(supervisor.run())
    await program.wait_for(1)
    [pid] = program.pids()
    assert os.getsid(pid) == pid
    supervisor.stop()
    await soon(running)


async def test_a_child_that_dies_again_and_again_is_started_after_growing_delays(log: Log) -> None:
    dies = ProcessGroup(
        name="default.0",
        count=1,
        command=lambda _: [sys.executable, "-S", "-c", "raise SystemExit(3)"],
    )
    supervisor = Supervisor([dies], logger=log.logger)
    running = asyncio.create_task(supervisor.run())
    await log.wait_for("worker.died", count=3)
    supervisor.stop()
    assert await soon(running) == 0
    died = log.named("worker.died")
    assert [entry["restart_in"] for entry in died] == [0.1, 0.2, 0.4]
    assert {(entry["exit_code"], entry["group"]) for entry in died} == {(3, "default.0")}


async def test_a_process_that_cannot_be_started_again_is_one_death_more_and_ends_no_other(
    program: Program, log: Log
) -> None:
    command = program.folder / "command"
    command.write_text('#!/bin/sh\nrm "$0"\nexit 3\n')
    command.chmod(0o755)
    vanishes = ProcessGroup(name="email.1", count=1, command=lambda _: [str(command)])
    supervisor = Supervisor([program.group(), vanishes], logger=log.logger)
    running = asyncio.create_task(supervisor.run())
    await program.wait_for(1)
    await log.wait_for("worker.died", count=3)
    supervisor.stop()
    assert await soon(running) == 0
    first, *others = log.named("worker.died")
    assert (first["exit_code"], first["restart_in"]) == (3, 0.1)
    assert [entry["restart_in"] for entry in others] == [0.2, 0.4]
    assert all("No such file" in entry["error"] for entry in others)
    assert len(program.pids()) == 1


async def test_a_process_that_cannot_be_started_at_all_is_an_error(
    program: Program, log: Log
) -> None:
    missing = str(program.folder / "missing")
    group = ProcessGroup(name="email.1", count=1, command=lambda _: [missing])
    with pytest.raises(ExceptionGroup) as raised:
        await soon(Supervisor([group], logger=log.logger).run())
    assert raised.group_contains(FileNotFoundError)


async def test_the_delays_begin_anew_after_a_healthy_life(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_module, "HEALTHY_AFTER", 0.0)
    dies = ProcessGroup(
        name="default.0",
        count=1,
        command=lambda _: [sys.executable, "-S", "-c", "raise SystemExit(3)"],
    )
    supervisor = Supervisor([dies], logger=log.logger)
    running = asyncio.create_task(supervisor.run())
    await log.wait_for("worker.died", count=3)
    supervisor.stop()
    await soon(running)
    assert [entry["restart_in"] for entry in log.named("worker.died")] == [0.1, 0.1, 0.1]


async def test_a_configuration_error_at_the_first_start_ends_everything(
    program: Program, log: Log
) -> None:
    refuses = ProcessGroup(
        name="email.1",
        count=1,
        command=lambda _: [sys.executable, "-S", "-c", "raise SystemExit(2)"],
    )
    supervisor = Supervisor([program.group(), refuses], logger=log.logger)
    assert await soon(supervisor.run()) == 2


async def test_a_configuration_error_at_a_later_start_is_one_death_more(
    program: Program, log: Log
) -> None:
    source = "import os; os.path.exists('was') and os._exit(2); os.mkdir('was'); os._exit(1)"
    source = source.replace("was", str(program.folder / "was"))
    group = ProcessGroup(
        name="default.0", count=1, command=lambda _: [sys.executable, "-S", "-c", source]
    )
    supervisor = Supervisor([group], logger=log.logger)
    running = asyncio.create_task(supervisor.run())
    await log.wait_for("worker.died", count=2)
    supervisor.stop()
    assert await soon(running) == 0
    assert [entry["exit_code"] for entry in log.named("worker.died")] == [1, 2]


async def test_hurry_sends_sigint_to_those_that_still_end(program: Program, log: Log) -> None:
    supervisor = Supervisor([program.group("--slow", timeout=1_000)], logger=log.logger)
    running = asyncio.create_task(supervisor.run())
    await program.wait_for(1)
    supervisor.stop()
    await program.wait_for(2)
    supervisor.hurry()
    assert await soon(running) == 0
    assert program.said()[1:] == ["SIGTERM", "SIGINT"]


async def test_a_child_that_ignores_everything_is_killed(
    program: Program, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "KILL_AFTER", 0.2)
    supervisor = Supervisor([program.group("--stubborn", timeout=0.1)], logger=log.logger)
    running = asyncio.create_task(supervisor.run())
    await program.wait_for(1)
    supervisor.stop()
    assert await soon(running) == 1
    assert program.said()[1:] == ["SIGTERM", "SIGINT"]
    assert log.named("worker.killed")


async def test_a_child_sees_its_lifeline_close_when_nobody_waits_for_it_any_more(
    program: Program,
) -> None:
    child = await Child.start(program.group().command(0))
    waiting = asyncio.create_task(child.wait())
    await program.wait_for(1)
    waiting.cancel()
    await program.wait_for(2)
    assert program.said()[1] == "alone"
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await soon(child._process.wait()) == 0


@pytest.mark.parametrize(
    ("code", "text"), [(3, "exit code 3"), (-9, "signal SIGKILL"), (-99, "signal 99")]
)
def test_an_exit_is_told_as_a_code_or_the_name_of_a_signal(code: int, text: str) -> None:
    assert str(Exit(code)) == text
