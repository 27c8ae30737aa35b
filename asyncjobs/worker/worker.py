"""The worker: ties its parts together, and ends them in the right order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from typing import TYPE_CHECKING, Any

import anyio

from asyncjobs.errors import StorageError
from asyncjobs.logs import FoldingLog
from asyncjobs.types import Heartbeat, JobState, Signal, WorkerInfo
from asyncjobs.worker.bookkeeper import Bookkeeper
from asyncjobs.worker.claimer import Claimer
from asyncjobs.worker.executor import Executor
from asyncjobs.worker.finisher import Finisher
from asyncjobs.worker.identity import host_id, process_started
from asyncjobs.worker.lease import Lease
from asyncjobs.worker.promoter import Promoter
from asyncjobs.worker.reconciler import Reconciler
from asyncjobs.worker.rescuer import Rescuer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from asyncjobs.config import WorkerGroup
    from asyncjobs.registry import JobRegistry
    from asyncjobs.storage.protocol import Storage

RECORD_TIMEOUT = 10.0
"""Seconds at shutdown to record what ended. What cannot be recorded is rescued and runs again."""
BURST_LOOK = 0.02
PROMOTED = 1_000
LOOK = 0.25
"""Seconds between two looks at a buffer that may have become stale."""


class Worker:
    """One worker of one group. The storage is open while it runs.

    Its *name* is the same after a restart.
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
    ) -> None:
        self._storage, self._group, self._queues = storage, group, list(queues)
        self.name = name
        self._log = FoldingLog(log.bind(worker=name))
        self._force = asyncio.Event()
        self._reconciler = Reconciler(storage, self._log)
        doubt = self._reconciler.doubt
        self._finisher = Finisher(storage, self._log, on_doubt=doubt, on_recorded=self._on_room)
        self._bookkeeper = Bookkeeper(storage, self._log)
        self._executor = Executor(
            registry,
            group,
            self._finisher,
            self._bookkeeper,
            self._log,
            worker=name,
            on_room=self._on_room,
        )
        self._claimer = Claimer(
            storage, queues, self._executor, self._finisher, self._log, on_doubt=doubt
        )
        self._promoter = Promoter(storage, group.sleep_delay, self._log)
        self._lease = Lease(
            storage,
            group.heartbeat_interval,
            self._log,
            on_answer=self._on_heartbeat,
            running_now=self._running_now,
        )
        self._rescuer = Rescuer(
            storage,
            self._lease,
            group.heartbeat_interval,
            self._log,
            reconcile=self._reconcile,
        )
        self._registering: asyncio.Task[None] | None = None
        self._checking: asyncio.Task[None] | None = None

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
        cost. Raises StorageError if the worker cannot register.
        """
        main = asyncio.create_task(self._run(stop, burst=burst, on_ready=on_ready))
        try:
            await asyncio.shield(main)
        except asyncio.CancelledError:
            if main.cancelled():
                raise
            self._force.set()
            stop.set()
            self._claimer.wake()
            await _outlast(main)
            if error := main.exception():
                self._log.error("worker.failed", exc_info=error)
            raise

    async def _run(self, stop: asyncio.Event, *, burst: bool, on_ready: Callable[[], None]) -> None:
        await self._register()
        self._log.info("worker.started", queues=self._queues, concurrency=self._group.concurrency)
        on_ready()
        ended = False
        try:
            async with (
                anyio.create_task_group() as heart,  # beats until all jobs have ended
                anyio.create_task_group() as services,
            ):
                heart.start_soon(self._lease.run)
                for service in (
                    self._listen,
                    self._promoter.run,
                    self._rescuer.run,
                    self._bookkeeper.run,
                    self._tick,
                ):
                    services.start_soon(service)
                services.start_soon(self._wake_at, stop)
                if burst:
                    services.start_soon(self._stop_when_dry, stop)
                try:
                    await self._claimer.run(stop)
                finally:
                    with anyio.CancelScope(shield=True):
                        ended = await self._wind_down()
                services.cancel_scope.cancel()
                heart.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await self._deregister(ended=ended)

    async def _wind_down(self) -> bool:
        self._log.info("worker.stopping", running=len(self._executor.running))
        ended = await self._executor.wind_down(self._group.shutdown_timeout, self._force)
        recorded = await self._finisher.drain(RECORD_TIMEOUT)
        await self._bookkeeper.flush()
        return ended and recorded

    async def _register(self) -> None:
        pid = os.getpid()
        info = WorkerInfo(
            name=self.name,
            group=self._group.label,
            queues=self._queues,
            host=socket.gethostname(),
            host_id=host_id(),
            pid=pid,
            started=process_started(pid),
            lease=self._group.lease,
        )
        worker = await self._storage.register(info)
        self._finisher.begin(worker)
        self._claimer.worker = self._lease.worker = worker
        self._claimer.look()

    async def _deregister(self, *, ended: bool) -> None:
        # What still runs here must not be given to others: its lease runs out, if it ever does.
        if ended:
            try:
                await self._storage.deregister(self._claimer.worker)
            except StorageError as error:
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
            self._executor.watch_deadlines()
            elapsed += pause
            if elapsed >= self._group.sleep_delay:
                elapsed = 0.0
                self._claimer.look()
            elif self._executor.buffered:
                self._claimer.wake()

    async def _wake_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._claimer.wake()

    async def _stop_when_dry(self, stop: asyncio.Event) -> None:
        while True:
            await self._claimer.dry.wait()
            try:
                if self._executor.is_idle and await self._nothing_left():
                    stop.set()
                    return
            except StorageError as error:
                self._log.warning("workoff.delayed", error=str(error))
            await asyncio.sleep(BURST_LOOK)

    async def _nothing_left(self) -> bool:
        await self._finisher.drain(RECORD_TIMEOUT)
        if (await self._storage.promote(PROMOTED)).count:
            return False
        self._claimer.dry.clear()
        self._claimer.look()
        await self._claimer.dry.wait()
        if not self._executor.is_idle or len(self._finisher):
            return False
        # A claim may leave out what it could reach only slowly; the table has the last word.
        counts = await self._storage.counts()
        return not any(counts.get((queue, JobState.AVAILABLE.value)) for queue in self._queues)

    def _on_room(self) -> None:
        self._claimer.wake()

    def _on_signal(self, signal: Signal) -> None:
        self._claimer.on_signal(signal)
        if signal.missed:
            # Perhaps a failover: what was recorded last may be forgotten, and be ours again.
            self._reconciler.doubt()
            self._promoter.expect(0)
        elif signal.due_in is not None:
            self._promoter.expect(signal.due_in)
        if self._checking is None and self._executor.holds().intersection(signal.cancel):
            self._checking = asyncio.get_running_loop().create_task(self._check_cancelled())

    def _on_heartbeat(self, worker: int, answer: Heartbeat) -> None:
        if worker != self._claimer.worker:
            return  # of a registration that is over
        self._bookkeeper.clock_offset = answer.clock_offset
        if answer.cancel:
            self._executor.cancel(answer.cancel)
        if not answer.alive and self._registering is None:
            self._log.error("lease.lost", running=len(self._executor.running))
            self._executor.abandon()
            self._registering = asyncio.get_running_loop().create_task(self._register_again())

    async def _check_cancelled(self) -> None:
        # Whoever may connect may notify: the table says whether it is true.
        worker = self._claimer.worker
        try:
            answer = await self._storage.heartbeat(worker)
        except StorageError as error:  # the next heartbeat asks again
            self._log.warning("heartbeat.failed", error=str(error))
        else:
            self._on_heartbeat(worker, answer)
        finally:
            self._checking = None

    async def _register_again(self) -> None:
        try:
            await self._register()
        except StorageError as error:  # the next heartbeat says again that we are dead
            self._log.warning("worker.unregistered", error=str(error))
        finally:
            self._registering = None

    def _running_now(self, loop: asyncio.AbstractEventLoop) -> str | None:
        task = asyncio.current_task(loop)
        for attempt in list(self._executor.running.values()):
            if attempt.task is task:
                return f"{attempt.row.name}:{attempt.row.id}"
        return None


async def _outlast(task: asyncio.Task[None]) -> None:
    # However often we are cancelled meanwhile: the task has bounds of its own.
    with anyio.CancelScope(shield=True):
        while not task.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({task})
