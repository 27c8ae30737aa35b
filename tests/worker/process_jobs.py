"""Jobs that run in a process of their own: they have to be importable."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import threading
import time
from contextvars import ContextVar
from typing import Any

from asyncjobs import JobContext, JobManager, MemoryAdapter, Retry, current_job
from asyncjobs.worker.progress import PAUSE

registered = JobManager(adapters={"main": MemoryAdapter()})
later = registered.create_scheduler(adapter="main")

PROGRAM = """
import asyncio, dataclasses
from asyncjobs import JobManager, MemoryAdapter, WorkerGroup

jobs = JobManager(
    adapters={"main": MemoryAdapter()}, workers=[WorkerGroup(adapter="main", processes=1)]
)
later = jobs.create_scheduler(adapter="main")

class Big(int):
    def __repr__(self):
        return f"Big({int(self)})"

@jobs.hooks.after_success
def show(job, result):
    print(result)

@jobs.job(process=True)
def square(number: int):
    return Big(number * number)

async def main():
    async with jobs:
        await later(square(3))
        await jobs.workoff()

if __name__ == "__main__":
    asyncio.run(main())
"""

WORKER = """
import asyncio, sys
from asyncjobs import JobManager, MemoryAdapter, WorkerGroup
from tests.worker.process_jobs import hang

jobs = JobManager(adapters={"main": MemoryAdapter()}, workers=[WorkerGroup(adapter="main")])
jobs.registry.add(hang)
later = jobs.create_scheduler(adapter="main")

async def main():
    async with jobs:
        await later(hang(sys.argv[1]))
        await jobs.workoff()

asyncio.run(main())
"""


def wait_for(path: pathlib.Path) -> None:
    while not path.exists():
        time.sleep(0.01)


@registered.job(process=True)
def crunch(number: int) -> int:
    print("noise that must not disturb the protocol")
    print("more noise", file=sys.stderr)
    return number * number + 0 * os.getpid()


@registered.job(process=True, max_attempts=1)
def schedule() -> None:
    later.from_thread(crunch(3))


@registered.job(process=True, max_attempts=1)
def advance(done: float) -> None:
    current_job().progress(done)


@registered.job(process=True, max_runtime=5)
def advance_too_long() -> None:
    current_job().progress(0.4)
    while True:
        time.sleep(0.01)


@registered.job(process=True)
def read(folder: str) -> None:
    job, place = current_job(), pathlib.Path(folder)
    (place / "pid").write_text(str(os.getpid()))
    job.progress(0.25, "page 1")
    wait_for(place / "go on")
    job.progress(0.4)
    job.progress(0.5, "page 2")
    wait_for(place / "end")
    job.progress(0.75)
    job.progress(1, "all is read")


@registered.job(process=True)
def count(many: int) -> None:
    for n in range(many + 1):
        current_job().progress(n / many, "x" * 10_000)


@registered.job(process=True)
def talk_on(path: str) -> int:
    job = current_job()
    returned = threading.current_thread()

    def talk() -> None:
        time.sleep(2 * PAUSE)
        assert returned.is_alive()
        job.progress(0.9, "too late")
        pathlib.Path(path).write_text("said")

    job.progress(0.5)
    threading.Thread(target=talk).start()
    return os.getpid()


@registered.job(process=True)
def own_pid() -> int:
    return os.getpid()


@registered.job(process=True)
def print_much() -> str:
    for _ in range(1_000):
        print("x" * 1_000)
    subprocess.run([sys.executable, "-c", "print('by another program')"], check=True)
    assert sys.stdin.read() == subprocess.check_output(["cat"], text=True) == ""
    return "done"


@registered.job(process=True, max_attempts=1)
def leave_one_behind(path: str) -> None:
    if left := os.fork():
        pathlib.Path(path).write_text(str(left))
        os._exit(3)
    time.sleep(3600)


class Stops:
    def __getstate__(self) -> dict[str, int]:
        return {"state": 1}

    def __setstate__(self, state: object) -> None:
        raise StopIteration


class Exits(Stops):
    def __setstate__(self, state: object) -> None:
        raise SystemExit(3)


@registered.job(process=True, max_attempts=1)
def return_oddly(kind: str = "lambda") -> object:
    return {"lambda": lambda: None, "stops": Stops(), "exits": Exits()}[kind]


@registered.job(process=True)
def tell(path: str) -> None:
    job = current_job()
    pathlib.Path(path).write_text(f"{job.id} {job.name} {job.attempt} {job.meta} {os.getpid()}")


tenant: ContextVar[int] = ContextVar("tenant")


def enter_tenant(job: JobContext) -> None:
    tenant.set(tenant.get(0) + job.meta["tenant"])


@registered.job(process=True, retain=60)
def tell_tenant() -> int:
    return tenant.get()


class OddError(Exception):
    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} {two}")


class CodeError(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(f"code {code}")


class MuteError(Exception):
    def __init__(self) -> None:
        self.lock = threading.Lock()

    def __str__(self) -> str:
        raise KeyError("no text")


class LeavingError(Exception):
    def __reduce__(self) -> str:
        raise SystemExit(3)


class BecomesDictError(Exception):
    def __reduce__(self) -> Any:
        return dict, ()


@registered.job(process=True, max_attempts=1)
def fail(kind: str) -> None:
    if kind == "odd":
        raise OddError("does", "not survive pickling")
    if kind == "code":
        raise CodeError(5)
    if kind == "mute":
        raise MuteError
    if kind == "object":
        raise ValueError(object())
    if kind in ("leaves", "dict"):
        raise {"leaves": LeavingError, "dict": BecomesDictError}[kind]("what it says")
    if kind == "die":
        os._exit(3)
    raise {"value": ValueError, "retry": Retry}[kind](kind)


@registered.job(process=True, max_runtime=0.5)
def hang_too_long() -> None:
    while True:
        time.sleep(0.01)


@registered.job(process=True)
def hang(path: str) -> None:
    pathlib.Path(path).write_text(str(os.getpid()))
    while True:
        time.sleep(0.01)


@registered.job(process=True)
def overlap(folder: str) -> None:
    mine = pathlib.Path(folder) / str(os.getpid())
    mine.touch()
    until, count = time.monotonic() + 2, 0
    while count < 2 and time.monotonic() < until:  # for another one to come
        time.sleep(0.01)
        count = len(list(pathlib.Path(folder).glob("[0-9]*")))
    with (pathlib.Path(folder) / "most").open("a") as file:
        file.write(f"{count}\n")
    time.sleep(0.1)
    mine.unlink()


@registered.job(process=True, retain=60)
def tell_span() -> tuple[int, int]:
    from opentelemetry.trace import get_current_span

    present = get_current_span().get_span_context()
    return present.trace_id, present.span_id
