"""What a worker hears by NOTIFY, and whom of its parts it tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncjobs.storage.protocol import Storage
    from asyncjobs.types import Signal
    from asyncjobs.worker.admitter import Admitter
    from asyncjobs.worker.cancellations import Cancellations
    from asyncjobs.worker.claimer import Claimer
    from asyncjobs.worker.crontab import Crontab
    from asyncjobs.worker.executor import Executor
    from asyncjobs.worker.keeper import Keeper
    from asyncjobs.worker.pauses import Pauses
    from asyncjobs.worker.promoter import Promoter
    from asyncjobs.worker.reconciler import Reconciler


class Ear:
    """Listens as long as the worker runs."""

    def __init__(
        self,
        storage: Storage,
        *,
        claimer: Claimer,
        executor: Executor,
        crontab: Crontab,
        admitter: Admitter,
        pauses: Pauses,
        promoter: Promoter,
        reconciler: Reconciler,
        keeper: Keeper,
        cancellations: Cancellations,
    ) -> None:
        self._storage, self._claimer, self._executor = storage, claimer, executor
        self._crontab, self._admitter, self._pauses = crontab, admitter, pauses
        self._promoter, self._reconciler = promoter, reconciler
        self._keeper, self._cancellations = keeper, cancellations

    async def run(self) -> None:
        """Listen until cancelled."""
        await self._storage.listen(self._on_signal)

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
