"""Jobs that run in a process of their own: they have to be importable."""

from __future__ import annotations

import os
import pathlib
import sys
import time
from contextvars import ContextVar

from asyncjobs import JobContext, JobManager, MemoryAdapter, Retry, current_job

registered = JobManager(adapters={"main": MemoryAdapter()})


@registered.job(process=True)
def crunch(number: int) -> int:
    print("noise that must not disturb the protocol")
    print("more noise", file=sys.stderr)
    return number * number + 0 * os.getpid()


@registered.job(process=True, retain=60, max_attempts=1)
def advance() -> None:
    current_job().progress(0.5)


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


@registered.job(process=True, max_attempts=1)
def fail(kind: str) -> None:
    if kind == "odd":
        raise OddError("does", "not survive pickling")
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
