"""The parts of an open PostgresAdapter, one for each kind of question."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncjobs.errors import NotOpenError
from asyncjobs.home import Home

if TYPE_CHECKING:
    from asyncjobs.storage.postgres.admin import Admin
    from asyncjobs.storage.postgres.limits import LimitTables
    from asyncjobs.storage.postgres.maintenance import PostgresMaintenance
    from asyncjobs.storage.postgres.overview import PostgresOverview
    from asyncjobs.storage.postgres.results import Results
    from asyncjobs.storage.postgres.schedules import SchedulesTable
    from asyncjobs.storage.postgres.statistics import PostgresStatistics
    from asyncjobs.storage.postgres.tables import Tables
    from asyncjobs.storage.postgres.wishes import Wishes


class Parts:
    """What an adapter offers while it is open.

    Each raises NotOpenError while it is not, and RuntimeError in another event loop.
    """

    _opened_tables: Tables | None = None

    def __init__(self) -> None:
        self._home = Home()

    @property
    def statistics(self) -> PostgresStatistics:
        """Counts of what ended; see `StatisticsStorage`."""
        return self._tables.statistics

    @property
    def overview(self) -> PostgresOverview:
        """How it stands with queues and workers; see `OverviewStorage`."""
        return self._tables.overview

    @property
    def results(self) -> Results:
        """What is kept, and who waits for it; see `ResultStorage`."""
        return self._tables.results

    @property
    def limits(self) -> LimitTables:
        """Lanes, their limits and what is paused; see `LimitStorage`."""
        return self._tables.limits

    @property
    def admin(self) -> Admin:
        """What people ask of the jobs; see `AdminStorage`."""
        return self._tables.admin

    @property
    def schedules(self) -> SchedulesTable:
        """The schedules; see `asyncjobs.storage.schedules`."""
        return self._tables.schedules

    @property
    def maintenance(self) -> PostgresMaintenance:
        """What keeps the tables tidy; see `MaintenanceStorage`."""
        return self._tables.maintenance

    @property
    def wishes(self) -> Wishes:
        """What people wish of workers; see `WishStorage`."""
        return self._tables.wishes

    @property
    def _tables(self) -> Tables:
        if self._opened_tables is None:
            raise NotOpenError
        self._home.check()
        return self._opened_tables
