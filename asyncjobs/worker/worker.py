"""The worker: ties its parts together, and ends them in the right order."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from asyncjobs.config import check_retain
from asyncjobs.errors import WorkerStuckError
from asyncjobs.logs import FoldingLog
from asyncjobs.types import Signal
from asyncjobs.worker.admitter import Admitter
from asyncjobs.worker.bookkeeper import Bookkeeper
from asyncjobs.worker.burst import Burst
from asyncjobs.worker.cancellations import Cancellations
from asyncjobs.worker.claimer import Claimer
from asyncjobs.worker.crontab import Crontab
from asyncjobs.worker.ear import Ear
from asyncjobs.worker.executor import Executor
from asyncjobs.worker.finisher import Finisher
from asyncjobs.worker.keeper import Keeper
from asyncjobs.worker.lease import Lease
from asyncjobs.worker.maintenance import Maintenance
from asyncjobs.worker.pauses import Pauses
from asyncjobs.worker.progress import ProgressWriter
from asyncjobs.worker.promoter import Promoter
from asyncjobs.worker.reconciler import Reconciler
from asyncjobs.worker.registration import Registration
from asyncjobs.worker.rescuer import Rescuer
from asyncjobs.worker.shutdown import Shutdown
from asyncjobs.worker.ticker import Ticker
from asyncjobs.worker.waiting import outlast
from asyncjobs.worker.watch import LoopWatch
from asyncjobs.worker.wishes import Wishes
from asyncjobs.worker.workload import Meters, Workload, workload_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from asyncjobs.config import WorkerGroup
    from asyncjobs.placing import Placer
    from asyncjobs.registry import JobRegistry
    from asyncjobs.storage.protocol import Storage


class Worker:
    """One worker of one group. The storage is open while it runs.

    Its *name* is the same after a restart. With *declares*, which makes their rows, it stores
    the schedules that the registry's jobs declare, and retires others in *known_queues*,
    those of the application.
    """

    def __init__(
        self,
        storage: Storage,
        registry: JobRegistry,
        group: WorkerGroup,
        queues: Sequence[str],
        *,
        name: str,
        log: Any,
        known_queues: Sequence[str] = (),
        declares: Placer | None = None,
    ) -> None:
        self._storage, self._group, self._queues = storage, group, list(queues)
        self.name = name
        self._log = FoldingLog(log.bind(worker=name))
        self._registry = registry
        self._stop, self._is_stuck = asyncio.Event(), False
        self._main: asyncio.Task[None] | None = None
        self._reconciler = Reconciler(storage, self._log)
        self._bookkeeper = Bookkeeper(storage, self._log)
        progress = ProgressWriter(storage, self._log)
        self._keeper = Keeper(progress, worker=name, max_result=group.max_result)
        self._admitter = Admitter(storage, group.sleep_delay, self._log, on_ready=self._on_admitted)
        look = self._admitter.look
        beat, on_pauses = group.heartbeat_interval, self._on_pauses
        self._pauses = Pauses(storage, beat, self._log, on_change=on_pauses, on_freed=look)
        self._meters, wake = Meters(), asyncio.Event()
        self._finisher = Finisher(
            storage,
            self._log,
            meters=self._meters,
            on_doubt=self._on_doubt,
            on_recorded=wake.set,
            on_freed=look,
        )
        self._crontab = Crontab(
            storage, registry, known_queues, group.sleep_delay, self._log, declares=declares
        )
        self._executor = Executor(
            registry,
            group,
            self._finisher,
            self._bookkeeper,
            self._log,
            keeper=self._keeper,
            worker=name,
            on_room=wake.set,  # the claimer's, at once: it is called after every job
            on_stuck=self._on_stuck,
            is_torn_down=self._is_torn_down,
            on_failed_run=self._crontab.suspect,
        )
        self._claimer = Claimer(
            storage,
            queues,
            self._executor,
            self._finisher,
            self._log,
            pauses=self._pauses,
            meters=self._meters,
            wake=wake,
            on_doubt=self._on_doubt,
        )
        self._wishes = Wishes(self._claimer, self._executor, self._log)
        self._promoter = Promoter(storage, group.sleep_delay, self._log)
        self._burst = Burst(
            storage,
            self._claimer,
            self._executor,
            self._finisher,
            promoter=self._promoter,
            admitter=self._admitter,
            pauses=self._pauses,
            crontab=self._crontab,
            queues=queues,
            log=self._log,
        )
        retain = None if group.retain is None else check_retain(group.retain)
        self._maintenance = Maintenance(
            storage, self._queues, retain, self._log, mends=group.mend_tables
        )
        self._registration = Registration(
            storage,
            registry,
            group,
            self._queues,
            self._log,
            name=name,
            executor=self._executor,
            bookkeeper=self._bookkeeper,
            wishes=self._wishes,
            on_begin=self._on_registered,
        )
        on_heartbeat = self._registration.on_heartbeat
        lag, kills = self._meters.loop_lag, group.kill_stuck
        watch = LoopWatch(self._executor, self._finisher, self._log, kill_stuck=kills, lag=lag)
        self._lease = Lease(storage, beat, self._log, on_answer=on_heartbeat, watch=watch)
        self._shutdown = Shutdown(
            self._executor,
            self._finisher,
            self._bookkeeper,
            self._lease,
            self._log,
            timeout=group.shutdown_timeout,
            kill_stuck=group.kill_stuck,
            is_torn_down=self._is_torn_down,
        )
        self._rescuer = Rescuer(
            storage,
            self._lease,
            group.heartbeat_interval,
            self._log,
            reconcile=partial(self._reconciler.run, self._claimer, self._executor, self._finisher),
            on_rescued=self._bookkeeper.note_rescued,
        )
        self._cancellations = Cancellations(
            storage, self._claimer, self._executor, self._log, on_answer=on_heartbeat
        )
        self._ticker = Ticker(
            group.sleep_delay, self._claimer, self._executor, self._cancellations, self._log
        )
        self._ear = Ear(
            storage,
            claimer=self._claimer,
            executor=self._executor,
            crontab=self._crontab,
            admitter=self._admitter,
            pauses=self._pauses,
            promoter=self._promoter,
            reconciler=self._reconciler,
            keeper=self._keeper,
            cancellations=self._cancellations,
        )

    @property
    def done(self) -> int:
        """How many jobs were started so far."""
        return self._executor.started

    @property
    def is_dismissed(self) -> bool:
        """Whether somebody has told this worker to end, and not to be replaced."""
        return self._wishes.stop

    @property
    def workload(self) -> Workload | None:
        """What it does at this moment; None while it is not at work."""
        if self._main is None or self._main.done():
            return None
        return workload_of(self.name, self._group, self._executor, self._finisher, self._meters)

    async def run(
        self,
        stop: asyncio.Event,
        *,
        burst: bool = False,
        on_ready: Callable[[], None] = lambda: None,
    ) -> None:
        """Work until *stop*, or `is_dismissed`, or with *burst* until nothing is eligible.

        Then what has not started goes back, and what runs may end within shutdown_timeout.
        When this is cancelled, running jobs are cancelled at once. Both return jobs at no
        cost. Raises StorageError if the worker cannot register, and WorkerStuckError if a job
        does not end and the group says that the process shall.
        """
        self._stop = stop
        main = self._main = asyncio.create_task(self._run(stop, burst=burst, on_ready=on_ready))
        try:
            await asyncio.shield(main)
        except asyncio.CancelledError:
            if main.cancelled():
                raise
            self._shutdown.hurry()
            stop.set()
            self._claimer.wake()
            await outlast([main])
            if not main.cancelled() and (error := main.exception()):
                self._log.error("worker.failed", exc_info=error)
            raise

    async def _run(self, stop: asyncio.Event, *, burst: bool, on_ready: Callable[[], None]) -> None:
        await self._registration.begin()
        self._log.info("worker.started", queues=self._queues, concurrency=self._group.concurrency)
        on_ready()
        try:
            async with (
                anyio.create_task_group() as heart,  # beats until all jobs have ended
                anyio.create_task_group() as services,
            ):
                heart.start_soon(self._lease.run)
                for part in (
                    self._ear, self._promoter, self._crontab, self._admitter, self._pauses,
                    self._rescuer, self._bookkeeper, self._keeper.progress, self._maintenance,
                    self._ticker,
                ):  # fmt: skip
                    services.start_soon(part.run)
                services.start_soon(self._wake_at, stop)
                if burst:
                    services.start_soon(self._burst.run, stop)
                try:
                    await self._claimer.run(stop)
                finally:
                    services.start_soon(self._registration.note_stopping)
                    with anyio.CancelScope(shield=True):
                        await self._shutdown.run()
                services.cancel_scope.cancel()
                heart.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await self._registration.end(all_ended=self._shutdown.all_ended)
        if self._is_stuck:
            raise WorkerStuckError(self.name)

    def _on_registered(self, worker: int) -> None:
        self._finisher.begin(worker)
        self._claimer.worker = self._lease.worker = self._keeper.progress.worker = worker
        self._maintenance.worker = worker
        self._crontab.begin(worker)
        self._claimer.look()

    async def _wake_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._claimer.wake()

    def _on_admitted(self, queues: Iterable[str]) -> None:
        self._claimer.on_signal(Signal(ready=frozenset(queues)))

    def _on_pauses(self) -> None:
        self._executor.return_buffered()
        self._claimer.look()

    def _on_doubt(self) -> None:
        self._reconciler.doubt()
        self._lease.shake()

    def _on_stuck(self) -> None:
        if self._group.kill_stuck and not self._is_stuck:
            self._is_stuck = True
            self._log.error("worker.stuck", running=len(self._executor.running))
            self._stop.set()

    def _is_torn_down(self) -> bool:
        # Nobody but the end of the event loop cancels this task.
        return self._main is not None and self._main.cancelling() > 0
