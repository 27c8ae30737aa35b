"""What a PostgresAdapter has while it is open: a part for each kind of question."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

from asyncjobs.storage.postgres.admin import Admin
from asyncjobs.storage.postgres.claims import Claims
from asyncjobs.storage.postgres.fleet import Fleet
from asyncjobs.storage.postgres.jobs import JobsTable
from asyncjobs.storage.postgres.limits import LimitTables
from asyncjobs.storage.postgres.maintenance import PostgresMaintenance
from asyncjobs.storage.postgres.outcomes import Outcomes
from asyncjobs.storage.postgres.overview import PostgresOverview
from asyncjobs.storage.postgres.results import Results
from asyncjobs.storage.postgres.schedules import SchedulesTable
from asyncjobs.storage.postgres.statistics import PostgresStatistics
from asyncjobs.storage.postgres.wishes import Wishes

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncjobs.storage.postgres.capabilities import Capabilities
    from asyncjobs.storage.postgres.lanes import Lanes
    from asyncjobs.storage.postgres.own_transactions import OwnTransactions
    from asyncjobs.storage.postgres.statements import Statements
    from asyncjobs.types import Signal


class Tables(NamedTuple):
    """The parts, and what they share."""

    lanes: Lanes
    statements: Statements
    found: Capabilities
    """What the server can do."""
    jobs: JobsTable
    outcomes: Outcomes
    fleet: Fleet
    claims: Claims
    statistics: PostgresStatistics
    results: Results
    limits: LimitTables
    admin: Admin
    schedules: SchedulesTable
    overview: PostgresOverview
    maintenance: PostgresMaintenance
    wishes: Wishes

    @classmethod
    def make(
        cls,
        lanes: Lanes,
        statements: Statements,
        found: Capabilities,
        *,
        schema: str,
        version: int,
        channel: str,
        listens: bool,
        own: OwnTransactions,
        tell: Callable[[Signal], None],
    ) -> Self:
        """Make all parts for a schema of that *version*. *tell* is told what claims notice."""
        jobs = JobsTable(lanes, statements, schema, channel)
        return cls(
            lanes,
            statements,
            found,
            jobs=jobs,
            outcomes=Outcomes(lanes, statements, schema, channel),
            fleet=Fleet(lanes, statements, version, channel),
            claims=Claims(lanes.claim, statements, tell, take_turns=not found.skip_locked),
            statistics=PostgresStatistics(lanes, statements, version),
            results=Results(lanes, statements, channel),
            limits=LimitTables(lanes, statements, schema, version, channel),
            admin=Admin(lanes, statements, channel),
            schedules=SchedulesTable(lanes, statements, schema, jobs),
            overview=PostgresOverview(
                lanes, statements, schema, own=own, notifies=listens and found.notify
            ),
            maintenance=PostgresMaintenance(lanes, statements, schema, version),
            wishes=Wishes(lanes, statements, schema, version, channel),
        )
