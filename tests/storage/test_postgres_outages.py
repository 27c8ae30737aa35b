from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anyio
import asyncpg
import pytest
import structlog
from load import at_work, hearing, make_manager

from asyncjobs import (
    ConfigError,
    DatabaseNotConfiguredError,
    PostgresAdapter,
    StorageUnavailableError,
)
from asyncjobs.storage.embedded import EmbeddedPostgres
from asyncjobs.storage.postgres import listener
from asyncjobs.storage.postgres.statements import Statements
from asyncjobs.types import NewJob, WorkerInfo

if TYPE_CHECKING:
    from pathlib import Path

KILL = """
select count(pg_terminate_backend(pid)) from pg_stat_activity
where application_name like 'asyncjobs ' || $1 and datname = current_database()
"""


async def kill(dsn: str, purpose: str = "%") -> int:
    connection = await asyncpg.connect(dsn)
    killed: int = await connection.fetchval(KILL, purpose)
    await connection.close()
    return killed


async def test_a_cut_connection_fails_one_call_and_heals(dsn: str) -> None:
    adapter = PostgresAdapter(dsn)
    await adapter.open()
    assert await kill(dsn, "enqueue") == 1
    await asyncio.sleep(0.05)
    rows = [NewJob("x", "default", 50, "{}")]
    try:
        await adapter.enqueue(rows)
    except StorageUnavailableError:
        await adapter.enqueue(rows)
    assert await adapter.counts() == {("default", "available"): 1}
    await adapter.close()


async def test_a_worker_whose_connections_are_cut_again_and_again_runs_every_job(
    dsn: str,
) -> None:
    jobs = make_manager(
        PostgresAdapter(dsn), concurrency=20, sleep_delay=0.2, heartbeat_interval=0.5, lease=30
    )
    ran: list[int] = []

    @jobs.job
    async def note(number: int) -> None:
        ran.append(number)
        await asyncio.sleep(0.01)

    async with jobs:
        await jobs.later.many([note(number) for number in range(2_000)])
        stop = asyncio.Event()
        worker = asyncio.create_task(jobs.work(stop))
        with anyio.fail_after(60):
            while not any(entry["event"] == "worker.started" for entry in jobs.log):
                await asyncio.sleep(0.01)
            for _ in range(20):
                await kill(dsn)
                await asyncio.sleep(0.1)
            while len(set(ran)) < 2_000:
                await asyncio.sleep(0.05)
            while await kill_nothing_left(jobs):
                await asyncio.sleep(0.05)
        stop.set()
        await worker
    assert sorted(ran) == list(range(2_000))  # and none twice: no lease was lost


async def kill_nothing_left(jobs: Any) -> bool:
    try:
        return bool(await jobs.adapters["main"].counts())
    except StorageUnavailableError:
        return True


async def test_a_lost_listener_comes_back_and_says_that_something_may_be_missed(
    dsn: str,
) -> None:
    adapter = PostgresAdapter(dsn)
    await adapter.open()
    async with hearing(adapter) as heard:
        assert (await heard.get()).missed
        assert (await heard.get()).proven
        while await kill(dsn, "listen") != 1:
            await asyncio.sleep(0.01)
        assert (await heard.get()).missed
        while True:
            await adapter.enqueue([NewJob("x", "default", 50, "{}")])
            with anyio.move_on_after(0.3):
                while (signal := await heard.get()).missed or signal.proven:
                    pass
                assert signal.ready == {"default"}
                break
    await adapter.close()


async def test_who_listens_in_another_database_is_told_and_polls(
    dsn: str, empty_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "PROBE_TIMEOUT", 0.5)
    adapter = PostgresAdapter(dsn, listen_dsn=empty_dsn)
    await adapter.open()
    with structlog.testing.capture_logs() as lines:
        async with hearing(adapter) as heard:
            while not any(line["event"] == "listener.deaf" for line in lines):
                assert not (await heard.get()).proven
    assert "to the same database" in next(line for line in lines if "hint" in line)["hint"]
    await adapter.close()


async def test_who_listens_elsewhere_waits_for_a_lane_that_is_busy_and_is_not_deaf(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "PROBE_TIMEOUT", 1.0)
    adapter = PostgresAdapter(dsn, listen_dsn=dsn)
    await adapter.open()
    lane = adapter._opened_tables.lanes.fleet
    busy = asyncio.create_task(lane.fetch("select pg_sleep(1.5)"))
    while not lane.is_busy:
        await asyncio.sleep(0)
    with structlog.testing.capture_logs() as lines:
        async with hearing(adapter) as heard:
            while not (await heard.get()).proven:
                pass
    assert lines == []
    await busy
    await adapter.close()


async def test_a_notification_of_somebody_elses_making_is_refused_and_said(
    dsn: str,
) -> None:
    jobs = make_manager(PostgresAdapter(dsn), sleep_delay=60)
    ran = asyncio.Event()

    @jobs.job
    async def note() -> None:
        ran.set()

    wrong = {
        "nonsense",
        "[]",
        '{"ready": 5}',
        '{"ready": [5]}',
        '{"ready": ["default"], "priority": 32768}',
        '{"ready": ["default"], "priority": true}',
        '{"due": "soon"}',
        '{"due": Infinity}',
        '{"cancel": [[1]]}',
        '{"lanes": [null]}',
    }
    connection = await asyncpg.connect(dsn)
    with anyio.fail_after(60), structlog.testing.capture_logs() as lines:
        async with at_work(jobs):
            while {line.get("payload") for line in lines} != wrong:
                for payload in wrong:
                    await connection.execute("select pg_notify('asyncjobs_asyncjobs', $1)", payload)
                await asyncio.sleep(0.05)
            await jobs.later(note())
            await ran.wait()
    await connection.close()
    assert {line["event"] for line in lines} == {"notification.refused"}


async def test_without_listening_a_poll_carries_everything(dsn: str) -> None:
    jobs = make_manager(PostgresAdapter(dsn, listen=False), sleep_delay=0.05)
    ran = asyncio.Event()

    @jobs.job
    async def note() -> None:
        ran.set()

    async with at_work(jobs):
        for options in ({}, {"wait": 0.1}):
            ran.clear()
            await asyncio.sleep(0.1)
            await jobs.later(note(), **options)
            with anyio.fail_after(20):
                await ran.wait()


async def test_a_worker_lives_through_a_restart_of_the_server(reachable_path: Path) -> None:
    folder = reachable_path / "postgres"
    server = EmbeddedPostgres.start(folder, settings={"fsync": "off"})
    jobs = make_manager(PostgresAdapter(server.dsn), sleep_delay=0.2)
    running, go_on, ran = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @jobs.job
    async def long() -> None:
        running.set()
        await go_on.wait()

    @jobs.job
    async def note() -> None:
        ran.set()

    await jobs.migrate()
    stop = asyncio.Event()
    worker = asyncio.create_task(jobs.work(stop))
    async with jobs:
        stored = await jobs.later(long())
        await running.wait()
        await asyncio.to_thread(server.stop)
        go_on.set()  # it ends while nobody can record that
        with pytest.raises(StorageUnavailableError):
            await jobs.later(note())
        server = await asyncio.to_thread(
            EmbeddedPostgres.start, folder, port=server.port, settings={"fsync": "off"}
        )
        with anyio.fail_after(30):
            await jobs.later(note())
            await ran.wait()
            while await jobs.later.get(stored.id) is not None:
                await asyncio.sleep(0.01)
    stop.set()
    await worker
    server.stop()
    assert "lease.lost" not in {line["event"] for line in jobs.log}


async def test_a_worker_that_starts_without_a_database_says_so() -> None:
    jobs = make_manager(PostgresAdapter("postgresql://nobody@127.0.0.1:1/nothing"))
    with pytest.raises(StorageUnavailableError):
        await jobs.work()


async def test_a_database_that_is_not_configured_is_named_with_its_remedies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("ASYNCJOBS_DATABASE_URL", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(DatabaseNotConfiguredError, match=r"ASYNCJOBS_DATABASE_URL.*asyncjobs dev"):
        await PostgresAdapter().open()


async def test_the_environment_names_the_database_when_the_adapter_opens(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = PostgresAdapter()
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    monkeypatch.setenv(
        "ASYNCJOBS_DATABASE_URL", dsn.replace("postgresql://", "postgresql+asyncpg://")
    )
    await adapter.open()
    await adapter.close()


async def test_an_address_that_makes_no_sense_is_a_configuration_error() -> None:
    for wrong in ("mysql://localhost/x", "postgresql://localhost:port/x"):
        with pytest.raises(ConfigError):
            await PostgresAdapter(wrong).open()


async def test_a_pool_of_the_users_is_enough_for_everything(dsn: str) -> None:
    async with asyncpg.create_pool(dsn, min_size=1, max_size=10) as pool:
        jobs = make_manager(PostgresAdapter(pool=pool))
        ran: list[int] = []

        @jobs.job
        async def note(number: int) -> None:
            ran.append(number)

        async with jobs:
            await asyncio.gather(*[jobs.later(note(number)) for number in range(50)])
            await jobs.workoff()
        assert sorted(ran) == list(range(50))
        async with pool.acquire() as connection:  # everything was given back
            assert await connection.fetchval("select 1") == 1
        assert pool.get_idle_size() == pool.get_size()


async def test_a_pool_that_is_terminated_under_a_worker_is_an_outage(dsn: str) -> None:
    pool = await asyncpg.create_pool(dsn, min_size=1, max_size=10)
    jobs = make_manager(PostgresAdapter(pool=pool), shutdown_timeout=0.1)
    ran = asyncio.Event()

    @jobs.job
    async def note() -> None:
        ran.set()

    with anyio.fail_after(60):
        async with at_work(jobs) as worker:  # what gives connections back raises nothing either
            await jobs.later(note())
            await ran.wait()
            pool.terminate()
            with pytest.raises(StorageUnavailableError, match="pool is closed"):
                await jobs.later(note())
            while not any(entry["event"] == "claim.failed" for entry in jobs.log):
                await asyncio.sleep(0.01)
            assert not worker.done()


async def test_a_pool_that_is_too_small_is_refused_with_the_bound(dsn: str) -> None:
    async with asyncpg.create_pool(dsn, min_size=0, max_size=5) as pool:
        with pytest.raises(ConfigError, match=r"more than 9 connections.* max_size 5"):
            await PostgresAdapter(pool=pool).open()
        with pytest.raises(ConfigError, match="not both"):
            PostgresAdapter(dsn, pool=pool)


async def test_a_notification_alone_cancels_no_job(dsn: str) -> None:
    jobs = make_manager(PostgresAdapter(dsn))
    started, go_on = asyncio.Event(), asyncio.Event()

    @jobs.job(delete_successful=False)
    async def slow() -> None:
        started.set()
        await go_on.wait()

    async with jobs:
        stop = asyncio.Event()
        worker = asyncio.create_task(jobs.work(stop))
        stored = await jobs.later(slow())
        await started.wait()
        stranger = await asyncpg.connect(dsn)
        news = f'{{"cancel": [{stored.id}]}}'
        await stranger.execute("select pg_notify('asyncjobs_asyncjobs', $1)", news)
        await stranger.close()
        await asyncio.sleep(0.2)
        go_on.set()
        stop.set()
        await worker
        assert (await jobs.later.get(stored.id)).state == "succeeded"


async def test_jobs_of_a_claim_that_is_carried_out_late_are_not_orphaned(dsn: str) -> None:
    adapter = PostgresAdapter(dsn)
    await adapter.open()
    await adapter.enqueue([NewJob("x", "default", 50, "{}") for _ in range(3)])
    info = WorkerInfo("w", "*", ["default"], "here", "here", 1, 1.0, 60.0)
    worker = await adapter.register(info)
    late = await asyncpg.connect(dsn)
    transaction = late.transaction()
    await transaction.start()
    claimed = await late.fetch(Statements.load("asyncjobs").claim_queue, worker, "default", 5)
    assert len(claimed) == 3
    leaving = asyncio.create_task(adapter.deregister(worker))
    await asyncio.sleep(0.2)
    await transaction.commit()
    await late.close()
    await leaving
    assert await adapter.counts() == {("default", "available"): 3}
    await adapter.close()


async def test_no_part_of_a_password_is_in_an_error() -> None:
    with pytest.raises(ConfigError) as caught:
        await PostgresAdapter("postgresql://app:s3cret/x@localhost/app").open()
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None
