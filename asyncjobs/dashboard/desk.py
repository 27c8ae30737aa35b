"""Through which the pages read and act: one storage, and what may be shown of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncjobs.glance.glance import Glance

if TYPE_CHECKING:
    from asyncjobs.glance.redaction import Redaction
    from asyncjobs.manager import JobManager
    from asyncjobs.scheduler import Scheduler


class Desk:
    """What one dashboard shows: one adapter of a manager. It is open while the manager is."""

    def __init__(
        self,
        manager: JobManager,
        adapter: str,
        *,
        title: str,
        read_only: bool,
        redaction: Redaction,
    ) -> None:
        self.manager, self.adapter = manager, adapter
        self.later: Scheduler = manager.create_scheduler(adapter=adapter)
        self.storage = manager.adapters[adapter]
        self.glance = Glance(self.storage)
        self.title, self.read_only, self.redaction = title, read_only, redaction

    async def names(self) -> list[str]:
        """Return the names of jobs that are registered here or have ended lately."""
        registered = {job.name for job in self.manager.registry}
        return sorted(registered | {*await self.glance.names.get()})
