"""``worker``: one worker process, as the supervisor or a process monitor starts it."""

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Annotated

import typer

from asyncjobs.cli.metrics import MOST_PORT, telling
from asyncjobs.cli.numbers import number_option
from asyncjobs.cli.runner import on_signals, run_then_exit, set_process_title, watch_lifeline
from asyncjobs.cli.work import Lifeline
from asyncjobs.config import WorkerGroup
from asyncjobs.errors import ConfigError
from asyncjobs.manager import JobManager
from asyncjobs.supervisor import DISMISSED

if TYPE_CHECKING:
    from asyncjobs.cli.settings import Settings


def worker(
    ctx: typer.Context,
    *,
    index: Annotated[int, number_option(int, help="The worker group, from 0.", least=0)],
    number: Annotated[
        int,
        number_option(
            int, "--id", help="The number of this process in its group, from 0.", least=0
        ),
    ],
    workoff: Annotated[
        bool, typer.Option("--workoff", help="Run what is due now, then exit.")
    ] = False,
    clear: Annotated[
        bool, typer.Option("--clear", help="Remove all jobs of the group's adapter, then exit.")
    ] = False,
    metrics_port: Annotated[
        int | None,
        number_option(
            int,
            help="Where this worker tells its metrics.",
            show_default="nowhere",
            least=1,
            most=MOST_PORT,
        ),
    ] = None,
    lifeline: Lifeline = None,
) -> None:
    """Run one worker process of one group: for systemd, a container or another monitor.

    SIGTERM or Ctrl-C lets running jobs end, the second one returns them to the queue at once.
    """
    settings: Settings = ctx.obj
    settings.configure_logging()
    jobs = settings.reference().load()
    group = _group(jobs, index)
    if clear:
        run_then_exit(_clear(jobs, group))
    set_process_title(f"asyncjobs worker {group.label}.{index}.{number}")
    told = telling(jobs, index, number, metrics_port)
    run_then_exit(_work(jobs, index, number, burst=workoff, lifeline=lifeline, telling=told))


def _group(jobs: JobManager, index: int) -> WorkerGroup:
    if index >= len(jobs.workers):
        known = f"they go from 0 to {len(jobs.workers) - 1}" if jobs.workers else "there is none"
        raise ConfigError(f"there is no worker group {index}: {known}")
    return jobs.workers[index]


async def _clear(jobs: JobManager, group: WorkerGroup) -> int:
    print(f"removed {await jobs.clear(group.adapter)} jobs from {group.adapter}")
    return 0


async def _work(
    jobs: JobManager,
    index: int,
    number: int,
    *,
    burst: bool,
    lifeline: int | None,
    telling: AbstractAsyncContextManager[None],
) -> int:
    stop = asyncio.Event()
    task = asyncio.create_task(jobs.run_worker(index, number=number, stop=stop, burst=burst))
    on_signals(stop.set, task.cancel, supervised=lifeline is not None)
    if lifeline is not None:
        watch_lifeline(lifeline, stop.set, patience=jobs.workers[index].shutdown_timeout)
    try:
        async with telling:
            is_dismissed = await task
    except asyncio.CancelledError:
        if not stop.is_set():
            raise
        jobs.logger.info("worker.hurried", index=index, number=number)
        return 0
    # A service manager starts it again or not, as it is told to after a clean end.
    return DISMISSED if is_dismissed and lifeline is not None else 0
