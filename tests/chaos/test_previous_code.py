"""A rolling deploy, the other half: code from before a migration, on the schema after it.

`asyncjobs migrate` comes first, and then the processes are replaced one by one. Until the last
one is, code that has never heard of the new schema stores jobs there and runs them.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from crew import HERE, until
from previous import NoHistoryError, unpack_code_before
from record import miscounted, missing, overlaps

from asyncjobs.storage.postgres.migrate import all_migrations

if TYPE_CHECKING:
    from pathlib import Path

    from crew import Command, Crew, Database

GROUP = {
    "lease": 3, "heartbeat_interval": 0.5, "delete_successful_jobs": False, "concurrency": 5,
    "shutdown_timeout": 0,
}  # fmt: skip
NEWEST = all_migrations()[-1].version
ALL = [
    pytest.param(version, marks=[] if version == NEWEST else pytest.mark.long)
    for version in range(2, NEWEST + 1)
]
pytestmark = pytest.mark.timeout(300)  # many processes start, one after the other
ENDS = {
    "nap": "succeeded", "quick": "succeeded", "fragile": "succeeded", "hopeless": "failed",
    "delayed": "succeeded", "cancelled": "cancelled",
}  # fmt: skip


@dataclass
class Deploy:
    """Processes of the older and of the newer code, and what they have stored."""

    crew: Crew
    older: Path
    """Where the older code is."""
    ids: dict[str, list[int]] = field(default_factory=dict)

    def start(self, *arguments: str, older: bool) -> Command:
        """Run ``asyncjobs`` of the older or of the newer code."""
        return self.crew.start(*arguments, **self._code(older=older))

    def start_worker(self, *, older: bool, **environment: str) -> Command:
        """Run one worker process of the older or of the newer code."""
        return self.crew.start_worker(**self._code(older=older), **environment)

    async def store(self, count: int, *, older: bool) -> int:
        """Store calls by the older or the newer code; return how many migrations that knows."""
        command = [sys.executable, str(HERE / "deploy_app.py"), str(count)]
        program = self.crew.run(command, **self._code(older=older))
        assert await program.ended() == 0, program.log.read_text()
        said = json.loads(program.log.read_text().splitlines()[-1])
        assert said["code"].startswith(str(self.older)) == older
        for kind, ids in said["ids"].items():
            self.ids.setdefault(kind, []).extend(ids)
            self.crew.acknowledged.update(ids)
        knows: int = said["knows"]
        return knows

    def acknowledged(self, state: str) -> list[int]:
        """Return what was stored and is to end in *state*."""
        return [job for kind, ids in self.ids.items() if ENDS[kind] == state for job in ids]

    def _code(self, *, older: bool) -> dict[str, str]:
        app = {"ASYNCJOBS_APP": "deploy_app:jobs"}
        if older:
            app["PYTHONPATH"] = os.pathsep.join([str(self.older), str(HERE)])
        return app


@pytest.fixture
def deploy(make_crew: Any, tmp_path: Path, request: pytest.FixtureRequest) -> Deploy:
    """A deploy whose older code does not know the migration that is the parameter."""
    try:
        older = unpack_code_before(request.param, tmp_path / "older")
    except NoHistoryError as reason:
        pytest.skip(f"needs the history of the project in git: {reason}")
    return Deploy(make_crew(GROUP), older)


async def everything_ended(deploy: Deploy, database: Database) -> None:
    """Wait for the end of all that was stored, and check that it is the right one."""
    await database.until(
        "not exists (select from asyncjobs.jobs "
        "where state not in ('succeeded', 'failed', 'cancelled'))"
    )
    record, rows = deploy.crew.record(), await database.rows()
    states = {row.id: row.state for row in rows}
    assert states == {job: ENDS[kind] for kind, ids in deploy.ids.items() for job in ids}
    assert not missing(record, deploy.acknowledged("succeeded"))
    assert not record.runs.keys() & set(deploy.ids["cancelled"])
    assert overlaps(record, deaths=deploy.crew.deaths) == []
    assert miscounted(record, [row for row in rows if row.state != "cancelled"]) == []
    assert not await database.value(
        "select exists (select from asyncjobs.jobs where attempted_at < run_at)"
    )


@pytest.mark.parametrize("deploy", ALL, indirect=True)
async def test_older_code_works_on_the_newer_schema(deploy: Deploy, database: Database) -> None:
    worker = deploy.start_worker(older=True)
    assert await deploy.store(50, older=True) < NEWEST
    await everything_ended(deploy, database)
    ends = Counter(run.how for run in deploy.crew.record().all())
    assert ends == {"succeeded": 50 + 5 + 5, "failed": 5 * 2 + 3 * 2}  # and nothing twice
    os.kill(worker.process.pid, signal.SIGTERM)
    assert await worker.ended() == 0
    assert not await database.worker_pids()


@pytest.mark.parametrize("deploy", [NEWEST], indirect=True)
async def test_older_code_has_nothing_to_migrate_on_the_newer_schema(
    deploy: Deploy, database: Database
) -> None:
    migrate = deploy.start("migrate", older=True)
    assert await migrate.ended() == 0, migrate.log.read_text()
    versions = await database.value("select array_agg(version) from asyncjobs.migrations")
    assert sorted(versions) == list(range(1, NEWEST + 1))


@pytest.mark.parametrize("deploy", ALL, indirect=True)
async def test_older_and_newer_code_work_side_by_side(deploy: Deploy, database: Database) -> None:
    crew = deploy.crew
    workers = {
        older: [deploy.start_worker(older=older, CHAOS_ALONE=f"{older} {each}") for each in "ab"]
        for older in (True, False)
    }
    await database.until("count(*) = 4 from asyncjobs.workers")
    pids = {older: [worker.process.pid for worker in workers[older]] for older in workers}
    deploy.ids["nap"] = await crew.store("nap", count=60, seconds=1)  # some for everybody
    victims = {pids[True][0], pids[False][0]}
    for victim in victims:
        await until(lambda pid=victim: pid in {run.pid for run in crew.record().all()})
        crew.kill(victim)
    async with anyio.create_task_group() as programs:
        for older in (True, False):
            programs.start_soon(partial(deploy.store, 200, older=older))
    await everything_ended(deploy, database)
    assert {run.pid for run in crew.record().all()} == {*pids[True], *pids[False]}
    lost = [row.id for row in await database.rows() if "WorkerLost" in (row.errors or "")]
    assert {run.pid for job in lost for run in crew.record().runs[job]} >= victims


@pytest.mark.parametrize("deploy", ALL, indirect=True)
async def test_older_and_newer_code_rescue_what_the_other_had(
    deploy: Deploy, database: Database
) -> None:
    crew = deploy.crew
    [job] = await crew.store("endless")
    pids = []
    for older in (True, False, True):
        worker = deploy.start_worker(older=older, CHAOS_ALONE=f"{len(pids)}")
        pids.append(worker.process.pid)
        await until(lambda runs=len(pids): len(crew.record().runs[job]) == runs)
        if len(pids) < 3:
            crew.kill(worker.process.pid)
    os.kill(pids[-1], signal.SIGTERM)
    assert await worker.ended() == 0
    assert [run.pid for run in crew.record().runs[job]] == pids
    assert overlaps(crew.record(), deaths=crew.deaths) == []
    row = await database.row(job)
    assert row.state == "available"
    assert [error["error"] for error in json.loads(row.errors or "[]")] == ["WorkerLost"] * 2
