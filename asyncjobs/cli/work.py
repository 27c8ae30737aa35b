"""``work`` and ``workoff``: run jobs, attached to the terminal."""

import asyncio
import os
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from asyncjobs.cli.metrics import WorkerPort, place_of, worker_port
from asyncjobs.cli.runner import on_signals, run, run_then_exit, set_process_title, watch_lifeline
from asyncjobs.cli.settings import Settings
from asyncjobs.errors import ConfigError
from asyncjobs.manager import JobManager
from asyncjobs.reference import AppReference
from asyncjobs.supervisor import ProcessGroup, Supervisor

INTERRUPTED = 130

Lifeline = Annotated[int | None, typer.Option("--lifeline", hidden=True)]


def work(
    ctx: typer.Context,
    metrics_port: WorkerPort = None,
    lifeline: Lifeline = None,
    ready: Annotated[int | None, typer.Option("--ready", hidden=True)] = None,
    migrate: Annotated[bool, typer.Option("--migrate", hidden=True)] = False,
) -> None:
    """Run the workers of every group, each in a process of its own, until Ctrl-C.

    The first Ctrl-C or SIGTERM lets running jobs end, the second one returns them to the
    queue at once. A process that dies is started again.
    """
    settings: Settings = ctx.obj
    settings.configure_logging()
    app = settings.reference()
    jobs = app.load()
    port = worker_port(jobs, metrics_port)
    supervisor = Supervisor(process_groups(settings, app, jobs, port), logger=jobs.logger)
    set_process_title(f"asyncjobs work {app}")
    raise typer.Exit(run(_supervise(supervisor, jobs, lifeline, ready, migrate=migrate)))


def process_groups(
    settings: Settings, app: AppReference, jobs: JobManager, metrics_port: int | None = None
) -> list[ProcessGroup]:
    """Return what to run for each worker group of *jobs*. Raises ConfigError if nothing.

    The first worker tells its metrics at *metrics_port*, if there is one, each other at the next.
    """
    explicit = replace(settings, app=str(app))
    groups = [
        ProcessGroup(
            name=f"{group.label}.{index}",
            count=group.count,
            command=partial(_worker_command, explicit, index, _port(jobs, index, metrics_port)),
            shutdown_timeout=group.shutdown_timeout,
        )
        for index, group in enumerate(jobs.workers)
    ]
    if not any(group.count for group in groups):
        raise ConfigError(
            f"{app} has no worker processes to run: give its JobManager "
            'workers=[WorkerGroup(adapter="…")], with a count of at least 1'
        )
    return groups


def _port(jobs: JobManager, index: int, first: int | None) -> int | None:
    return None if first is None else first + place_of(jobs, index, 0)


def _worker_command(settings: Settings, index: int, port: int | None, number: int) -> list[str]:
    told = [] if port is None else ["--metrics-port", str(port + number)]
    return settings.command("worker", "--index", str(index), "--id", str(number), *told)


async def _supervise(
    supervisor: Supervisor,
    jobs: JobManager,
    lifeline: int | None,
    ready: int | None,
    *,
    migrate: bool,
) -> int:
    on_signals(supervisor.stop, supervisor.hurry, supervised=lifeline is not None)
    if lifeline is not None:
        patience = 2 * max(group.shutdown_timeout for group in jobs.workers)
        watch_lifeline(lifeline, supervisor.stop, patience=patience)
    if migrate:
        await jobs.migrate()
    if ready is not None:
        os.write(ready, b"1")
        os.close(ready)
    return await supervisor.run()


def workoff(ctx: typer.Context) -> None:
    """Run every job that is due now, in this process, and exit.

    Jobs that become due meanwhile are run too. Ctrl-C returns running jobs to the queue.
    """
    settings: Settings = ctx.obj
    settings.configure_logging()
    run_then_exit(_work_off(settings.reference().load()))


async def _work_off(jobs: JobManager) -> int:
    async with jobs:
        with _Bar.shown(await _due(jobs)) as bar:
            task = asyncio.create_task(jobs.workoff(bar.show if bar else None))
            on_signals(task.cancel, lambda: None)
            try:
                done = await task
            except asyncio.CancelledError:
                print("interrupted: what was running is back in the queue", file=sys.stderr)
                return INTERRUPTED
    print(f"{done} job{'' if done == 1 else 's'} run")
    return 0


async def _due(jobs: JobManager) -> int:
    total = 0
    for adapter in {group.adapter for group in jobs.workers}:
        counts = await jobs.adapters[adapter].counts()
        total += sum(count for (_, state), count in counts.items() if state == "available")
    return total


class _Bar(Progress):
    """How far the jobs are; more than there were may come."""

    @classmethod
    def shown(cls, total: int) -> "AbstractContextManager[_Bar | None]":
        """Return one for a terminal, and otherwise None."""
        if not sys.stderr.isatty():
            return nullcontext()
        columns = (TextColumn("jobs"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        bar = cls(*columns, console=Console(stderr=True))
        bar.add_task("jobs", total=total)
        return bar

    def show(self, done: int) -> None:
        """Show that *done* jobs were run."""
        [task] = self.tasks
        self.update(task.id, completed=done, total=max(done, task.total or 0))
