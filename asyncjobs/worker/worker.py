"""The worker: ties its parts together, and ends them in the right order."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import anyio

from asyncjobs.config import check_retain
from asyncjobs.errors import AsyncJobsError, StorageError, WorkerStuckError
from asyncjobs.logs import FoldingLog
from asyncjobs.types import Signal
from asyncjobs.worker.admitter import Admitter
from asyncjobs.worker.bookkeeper import Bookkeeper
from asyncjobs.worker.burst import Burst
from asyncjobs.worker.cancellations import Cancellations
from asyncjobs.worker.claimer import Claimer
from asyncjobs.worker.crontab import Crontab
from asyncjobs.worker.executor import Executor
from asyncjobs.worker.finisher import Finisher
from asyncjobs.worker.identity import this_process
from asyncjobs.worker.keeper import Keeper
from asyncjobs.worker.lease import Lease
from asyncjobs.worker.maintenance import Maintenance
from asyncjobs.worker.pauses import Pauses
from asyncjobs.worker.progress import ProgressWriter
from asyncjobs.worker.promoter import Promoter
from asyncjobs.worker.reconciler import Reconciler
from asyncjobs.worker.rescuer import Rescuer
from asyncjobs.worker.waiting import outlast
from asyncjobs.worker.watch import LoopWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from asyncjobs.config import WorkerGroup
    from asyncjobs.placing import Placer
    from asyncjobs.registry import JobRegistry
    from asyncjobs.storage.protocol import Storage
    from asyncjobs.types import Heartbeat

RECORD_TIMEOUT = 10.0
"""Seconds at shutdown to record what ended. What cannot be recorded is rescued and runs again."""
LOOK = 0.25
"""Seconds between two looks at a buffer that may have become stale."""


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
        self._force, self._stop, self._is_stuck = asyncio.Event(), asyncio.Event(), False
        self._all_ended = False
        self._main: asyncio.Task[None] | None = None
        self._reconciler = Reconciler(storage, self._log)
        self._bookkeeper = Bookkeeper(storage, self._log)
        self._keeper = Keeper(ProgressWriter(storage, self._log), max_result=group.max_result)
        self._admitter = Admitter(storage, group.sleep_delay, self._log, on_ready=self._on_admitted)
        look = self._admitter.look
        beat, on_pauses = group.heartbeat_interval, self._on_pauses
        self._pauses = Pauses(storage, beat, self._log, on_change=on_pauses, on_freed=look)
        self._finisher = Finisher(
            storage,
            self._log,
            on_doubt=self._on_doubt,
            on_recorded=self._on_room,
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
            on_room=self._on_room,
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
            on_doubt=self._on_doubt,
        )
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
        watch = LoopWatch(self._executor, self._finisher, self._log, kill_stuck=group.kill_stuck)
        self._lease = Lease(
            storage,
            beat,
            self._log,
            on_answer=self._on_heartbeat,
            watch=watch,
        )
        self._rescuer = Rescuer(
            storage, self._lease, group.heartbeat_interval, self._log, reconcile=self._reconcile
        )
        self._cancellations = Cancellations(
            storage, self._claimer, self._executor, self._log, on_answer=self._on_heartbeat
        )
        self._registering: asyncio.Task[None] | None = None

    @property
    def done(self) -> int:
        """How many jobs were started so far."""
        return self._executor.started

    async def run(
        self,
        stop: asyncio.Event,
        *,
        burst: bool = False,
        on_ready: Callable[[], None] = lambda: None,
    ) -> None:
        """Work until *stop*, or with *burst* until nothing is eligible.

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
            self._force.set()
            stop.set()
            self._claimer.wake()
            await outlast([main])
            if not main.cancelled() and (error := main.exception()):
                self._log.error("worker.failed", exc_info=error)
            raise

    async def _run(self, stop: asyncio.Event, *, burst: bool, on_ready: Callable[[], None]) -> None:
        await self._register()
        self._log.info("worker.started", queues=self._queues, concurrency=self._group.concurrency)
        on_ready()
        try:
            async with (
                anyio.create_task_group() as heart,  # beats until all jobs have ended
                anyio.create_task_group() as services,
            ):
                heart.start_soon(self._lease.run)
                for service in (
                    self._listen,
                    self._promoter.run,
                    self._crontab.run,
                    self._admitter.run,
                    self._pauses.run,
                    self._rescuer.run,
                    self._bookkeeper.run,
                    self._keeper.progress.run,
                    self._maintenance.run,
                    self._tick,
                ):
                    services.start_soon(service)
                services.start_soon(self._wake_at, stop)
                if burst:
                    services.start_soon(self._burst.run, stop)
                try:
                    await self._claimer.run(stop)
                finally:
                    with anyio.CancelScope(shield=True):
                        await self._wind_down()
                services.cancel_scope.cancel()
                heart.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await self._deregister()
        if self._is_stuck:
            raise WorkerStuckError(self.name)

    async def _wind_down(self) -> None:
        self._log.info("worker.stopping", running=len(self._executor.running))
        try:
            if self._is_torn_down():
                self._force.set()
            await self._end_jobs()
        except asyncio.CancelledError:
            # asyncio.run ends by cancelling every task, ours and those of the jobs, once.
            self._force.set()
            await self._end_jobs()
            raise
        finally:
            if not self._all_ended:
                self._lease.linger(self._executor.still_runs)

    async def _end_jobs(self) -> None:
        ended = await self._executor.wind_down(self._group.shutdown_timeout, self._force)
        recorded = await self._finisher.drain(RECORD_TIMEOUT)
        self._all_ended = ended and recorded
        await self._bookkeeper.flush()

    async def _register(self) -> None:
        group = self._group
        info = this_process(self.name, group=group.label, queues=self._queues, lease=group.lease)
        asked_at = time.monotonic()
        worker = await self._storage.register(info)
        self._finisher.begin(worker)
        self._claimer.worker = self._lease.worker = self._keeper.progress.worker = worker
        self._maintenance.worker = worker
        self._executor.renew(asked_at + self._group.lease)
        self._crontab.begin(worker)
        self._claimer.look()
        # What others could not run, we may. Without this it comes half a minute later.
        try:
            await self._storage.offer([job.name for job in self._registry])
        except StorageError as error:
            self._log.warning("offer.failed", error=str(error))

    async def _deregister(self) -> None:
        # What still runs here must not be given to others before this process has ended.
        worker = self._claimer.worker
        try:
            if self._all_ended:
                await self._storage.deregister(worker)
            else:
                await self._storage.leave(worker)
        except (AsyncJobsError, asyncio.CancelledError) as error:  # then its lease runs out
            self._log.warning("worker.unregistered", error=str(error))
        self._log.info("worker.stopped", started=self._executor.started)

    async def _listen(self) -> None:
        await self._storage.listen(self._on_signal)

    async def _reconcile(self) -> None:
        await self._reconciler.run(self._claimer, self._executor, self._finisher)

    async def _tick(self) -> None:
        # The safety net, and the buffer that must not become stale.
        elapsed = 0.0
        pause = min(LOOK, self._group.sleep_delay)
        while True:
            await asyncio.sleep(pause)
            self._executor.watch()
            self._cancellations.tick()
            elapsed += pause
            if elapsed >= self._group.sleep_delay:
                elapsed = 0.0
                self._claimer.look()
            elif self._executor.buffered:
                self._claimer.wake()

    async def _wake_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._claimer.wake()

    def _on_room(self) -> None:
        self._claimer.wake()

    def _on_admitted(self, queues: Iterable[str]) -> None:
        self._claimer.on_signal(Signal(ready=frozenset(queues)))

    def _on_pauses(self) -> None:
        self._executor.return_buffered()
        self._claimer.look()

    def _on_signal(self, signal: Signal) -> None:
        self._claimer.on_signal(signal)
        if signal.missed or signal.schedules:
            self._crontab.expect(0)
        if signal.lanes:
            self._admitter.look(signal.lanes)
        if signal.pauses or signal.missed:
            self._pauses.look()
        if signal.missed:
            # Perhaps a failover: what was recorded last may be forgotten, and be ours again.
            self._reconciler.doubt()
            self._admitter.look_everywhere()
            self._promoter.expect(0)
        elif signal.due_in is not None:
            self._promoter.expect(signal.due_in)
        if signal.watched:
            self._keeper.watch(signal.watched, self._executor.holds())
        self._cancellations.on_signal(signal)

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

    def _on_heartbeat(self, worker: int, answer: Heartbeat, asked_at: float) -> None:
        if worker != self._claimer.worker:
            return  # of a registration that is over
        self._bookkeeper.clock_offset = answer.clock_offset
        if answer.cancel:
            self._executor.cancel(answer.cancel)
        if answer.alive:
            self._executor.renew(asked_at + self._group.lease)
        elif self._registering is None:
            self._log.error("lease.lost", running=len(self._executor.running))
            self._executor.abandon()
            self._registering = asyncio.get_running_loop().create_task(self._register_again())

    async def _register_again(self) -> None:
        try:
            await self._register()
        except StorageError as error:  # the next heartbeat says again that we are dead
            self._log.warning("worker.unregistered", error=str(error))
        finally:
            self._registering = None
