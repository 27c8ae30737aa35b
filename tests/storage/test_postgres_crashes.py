"""The server crashes, restarts, fills up: nothing acknowledged is lost, and nobody runs wild."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import asyncpg
import pytest
from load import make_manager, under_load
from proxy import Proxy

from asyncjobs import PostgresAdapter, StorageUnavailableError
from asyncjobs.storage.embedded import EmbeddedPostgres
from asyncjobs.storage.embedded.account import service_account

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BOUND = 100
OUTAGE = 3.0
PURPOSES = ("enqueue", "claim", "finish", "fleet", "listen")


def end(server: EmbeddedPostgres, number: signal.Signals) -> None:
    os.kill(server.pid, number)
    server.stop()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT, signal.SIGKILL])
async def test_a_server_that_ends_and_starts_again_loses_nothing(
    reachable_path: Path, number: signal.Signals
) -> None:
    folder = reachable_path / "postgres"
    server = EmbeddedPostgres.start(folder)  # as durable as PostgreSQL is by default
    jobs = make_manager(PostgresAdapter(server.dsn), concurrency=20, heartbeat_interval=1)
    running, go_on = asyncio.Event(), asyncio.Event()

    @jobs.job(delete_successful=False)
    async def long() -> None:
        running.set()
        await go_on.wait()

    await jobs.migrate()
    try:
        with anyio.fail_after(BOUND):
            async with under_load(jobs) as load:
                stored = await jobs.later(long())
                await running.wait()
                await load.reach(200)
                await asyncio.to_thread(end, server, number)
                await load.until_refused()
                go_on.set()  # it ends while nobody can record that
                server = await asyncio.to_thread(EmbeddedPostgres.start, folder, port=server.port)
                await load.reach(200)
                while (await jobs.later.get(stored.id)).state != "succeeded":
                    await asyncio.sleep(0.01)
                async with administrator(server.dsn) as admin:
                    while not await backends(admin, "listen"):
                        await asyncio.sleep(0.01)
    finally:
        server.stop()
    assert "lease.lost" not in {line["event"] for line in jobs.log}


async def test_while_the_server_is_away_it_is_asked_seldom_and_little_is_said(
    reachable_path: Path,
) -> None:
    folder = reachable_path / "postgres"
    server = EmbeddedPostgres.start(folder)
    async with Proxy.to(server.dsn) as network:
        jobs = make_manager(PostgresAdapter(network.dsn), heartbeat_interval=1, sleep_delay=0.2)
        await jobs.migrate()
        with anyio.fail_after(BOUND):
            async with under_load(jobs) as load:
                await load.reach(100)
                await asyncio.to_thread(server.stop)
                await load.until_refused()
                attempts, lines = network.accepted, len(jobs.log)
                await asyncio.sleep(OUTAGE)
                attempts, lines = network.accepted - attempts, len(jobs.log) - lines
                server = await asyncio.to_thread(EmbeddedPostgres.start, folder, port=server.port)
                await load.reach(100)
        server.stop()
    assert attempts < OUTAGE * 2 * (len(PURPOSES) + 1)
    assert lines < 20  # one for each of our loops and each thing that the server said


@pytest.mark.parametrize("purpose", PURPOSES)
async def test_each_of_our_connections_may_be_terminated(dsn: str, purpose: str) -> None:
    jobs = make_manager(PostgresAdapter(dsn), sleep_delay=0.2, heartbeat_interval=0.5)
    with anyio.fail_after(BOUND):
        async with under_load(jobs) as load, administrator(dsn) as admin:
            for _ in range(3):
                await load.reach(50)
                while not (before := await backends(admin, purpose)):
                    await asyncio.sleep(0.01)
                for pid in before:
                    await admin.execute("select pg_terminate_backend($1)", pid)
                while not (now := await backends(admin, purpose)) or now & before:
                    await asyncio.sleep(0.01)
            await load.reach(50)
    assert "lease.lost" not in {line["event"] for line in jobs.log}


@asynccontextmanager
async def administrator(dsn: str) -> Any:
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


async def backends(admin: Any, purpose: str) -> set[int]:
    query = """
        select pid from pg_stat_activity
        where application_name = $1 and datname = current_database()
    """
    return {row["pid"] for row in await admin.fetch(query, f"asyncjobs {purpose}")}


async def test_too_many_connections_are_an_outage_like_any_other(reachable_path: Path) -> None:
    settings = {"max_connections": "16", "superuser_reserved_connections": "0"}
    with EmbeddedPostgres.start(reachable_path / "postgres", settings=settings) as server:
        jobs = make_manager(PostgresAdapter(server.dsn), sleep_delay=0.2, heartbeat_interval=1)
        await jobs.migrate()
        with anyio.fail_after(BOUND):
            async with under_load(jobs) as load, administrator(server.dsn) as admin:
                await load.reach(50)
                crowd = []
                while not load.refused:
                    for purpose in PURPOSES:
                        for pid in await backends(admin, purpose):
                            await admin.execute("select pg_terminate_backend($1)", pid)
                    crowd += await take_all(server.dsn)
                for connection in crowd:
                    await connection.close()
                await load.reach(50)
                for purpose in PURPOSES:
                    while not await backends(admin, purpose):
                        await asyncio.sleep(0.01)
    assert "lease.lost" not in {line["event"] for line in jobs.log}


async def take_all(dsn: str) -> list[Any]:
    taken = []
    while True:
        try:
            taken.append(await asyncpg.connect(dsn))
        except asyncpg.TooManyConnectionsError:
            return taken


@pytest.fixture
def small_disk(reachable_path: Path) -> Iterator[Path]:
    """A folder on a disk of 16 MB, for PostgreSQL's user."""
    folder = reachable_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    command = [str(mount), "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root may make a small disk")
    account = service_account(folder / "data")
    assert account is not None
    os.chown(folder, account.pw_uid, account.pw_gid)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


async def test_a_full_disk_refuses_calls_and_when_there_is_room_all_goes_on(
    reachable_path: Path, small_disk: Path
) -> None:
    with EmbeddedPostgres.start(reachable_path / "postgres") as server:
        jobs = make_manager(PostgresAdapter(server.dsn), sleep_delay=0.2, heartbeat_interval=1)
        ran: list[str] = []

        @jobs.job
        async def keep(text: str) -> None:
            ran.append(text[-1])

        await jobs.migrate()
        with anyio.fail_after(BOUND):
            async with administrator(server.dsn) as admin, jobs:
                await admin.execute(f"create tablespace small location '{small_disk}'")
                await admin.execute("alter table asyncjobs.jobs set tablespace small")
                await admin.execute("alter table asyncjobs.jobs alter args set storage external")
                await admin.execute("create table filler (bytes text) tablespace small")
                await fill(admin)
                stored = await store_until_full(jobs, keep)
                with pytest.raises(StorageUnavailableError, match="DiskFullError"):
                    await jobs.later.many([keep("x" * 100_000) for _ in range(5)])
                stop = asyncio.Event()
                worker = asyncio.create_task(jobs.work(stop))
                await admin.execute("drop table filler")
                await jobs.later(keep("x" * 100_000 + "z"))
                while set(ran) != {*stored, "z"}:
                    await asyncio.sleep(0.01)
                stop.set()
                await worker
        assert sorted(ran) == [*stored, "z"]  # nothing of what was refused


async def store_until_full(jobs: Any, keep: Any) -> list[str]:
    stored: list[str] = []
    while True:
        try:
            await jobs.later(keep("x" * 100_000 + str(len(stored))))
        except StorageUnavailableError as error:
            if "DiskFullError" in str(error):
                return stored
            raise
        stored.append(str(len(stored)))


async def fill(admin: Any) -> None:
    """Leave less room than one row of the filler takes."""
    statement = """
        insert into filler
        select string_agg(md5(random()::text), '')
        from generate_series(1, 400) as word, generate_series(1, $1::integer) as line
        group by line
    """
    for rows in (1_000, 100, 10, 1):
        try:
            while True:
                await admin.execute(statement, rows)
        except asyncpg.DiskFullError:
            continue
