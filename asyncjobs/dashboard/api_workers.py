"""The operations of the JSON API on workers."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - pydantic reads it
from typing import TYPE_CHECKING

from pydantic import BaseModel

from asyncjobs.dashboard.models import Changed, Id, Strict
from asyncjobs.dashboard.operation import Call, Operation
from asyncjobs.storage.overview import WorkerState  # noqa: TC001 - pydantic reads it

if TYPE_CHECKING:
    from asyncjobs.storage.overview import WorkerStatus


class RunningAnswer(BaseModel):
    """A job that runs."""

    id: int
    name: str
    queue: str
    attempt: int
    seconds: float


class WorkerAnswer(BaseModel):
    """A worker. Durations are seconds."""

    id: int
    name: str
    group: str
    queues: list[str]
    host: str
    pid: int
    version: str | None
    """Null for one of an earlier version, which hears no wishes."""
    concurrency: int | None
    started_at: datetime
    silent: float
    """Since its last heartbeat."""
    lease: float
    is_alive: bool
    state: WorkerState
    is_unheard: bool
    """Whether it has not shown yet that it has heard what is wished of it."""
    quiet_at: datetime | None
    stop_at: datetime | None
    """When it was told to stop."""
    stopping_at: datetime | None
    """Since when it does, whoever told it to."""
    running: int
    jobs: list[RunningAnswer]
    """Those that began first."""


class WorkersAnswer(BaseModel):
    """All workers."""

    workers: list[WorkerAnswer]


class OneWorker(Strict):
    """Which one."""

    id: Id


async def read_workers(call: Call) -> WorkersAnswer:
    """Return the workers and what they run."""
    workers = await call.desk.glance.workers.get()
    return WorkersAnswer(workers=[_worker(worker) for worker in workers])


async def quiet_worker(call: Call) -> Changed:
    """Let a worker claim nothing more."""
    return Changed(changed=await call.actions.wish("quiet", call.body.id))


async def resume_worker(call: Call) -> Changed:
    """Let a quiet worker claim again."""
    return Changed(changed=await call.actions.wish("resume", call.body.id))


async def stop_worker(call: Call) -> Changed:
    """Let a worker end, as by a first SIGTERM."""
    return Changed(changed=await call.actions.wish("stop", call.body.id))


OPERATIONS = [
    Operation("GET", "/workers", "The workers", read_workers, WorkersAnswer),
    Operation("POST", "/workers/quiet", "Quiet one", quiet_worker, Changed, body=OneWorker),
    Operation("POST", "/workers/resume", "Resume one", resume_worker, Changed, body=OneWorker),
    Operation("POST", "/workers/stop", "Stop one", stop_worker, Changed, body=OneWorker),
]


def _worker(worker: WorkerStatus) -> WorkerAnswer:
    facts = {
        name: value for name, value in worker._asdict().items() if name in WorkerAnswer.model_fields
    }
    facts["jobs"] = [RunningAnswer(**job._asdict()) for job in worker.jobs]
    return WorkerAnswer(
        **facts, is_alive=worker.is_alive, state=worker.state, is_unheard=worker.is_unheard
    )
