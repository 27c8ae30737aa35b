"""A primary and a standby of it, which tests may kill and promote."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import asyncpg
import psutil

from asyncjobs.storage.embedded import EmbeddedPostgres
from asyncjobs.storage.embedded.account import process_options, service_account
from asyncjobs.storage.embedded.binaries import usable_bindir

if TYPE_CHECKING:
    from pathlib import Path

STANDBY = "standby"


@dataclass
class Cluster:
    """Both servers run; the standby follows."""

    primary: EmbeddedPostgres
    standby: EmbeddedPostgres

    @classmethod
    def start(cls, folder: Path) -> Self:
        """Start both on folders in *folder*; blocks meanwhile."""
        primary = EmbeddedPostgres.start(folder / "primary")
        copy = folder / STANDBY
        account = service_account(copy)
        copy.mkdir(mode=0o700)
        if account is not None:
            os.chown(copy, account.pw_uid, account.pw_gid)
        origin = f"host=127.0.0.1 port={primary.port} user=postgres application_name={STANDBY}"
        subprocess.run(
            [
                usable_bindir(account) / "pg_basebackup",
                *("-d", origin, "-D", copy, "-R", "-X", "stream", "-c", "fast"),
            ],
            check=True,
            **process_options(account),
        )
        return cls(primary, EmbeddedPostgres.start(copy))

    @property
    def dsn(self) -> str:
        """The address of both, the primary of the beginning first."""
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in (self.primary, self.standby))
        return f"postgresql://postgres@{hosts}/postgres?target_session_attrs=primary"

    async def synchronize(self) -> None:
        """Have commits wait for the standby from now on."""
        connection = await asyncpg.connect(self.primary.dsn)
        await connection.execute(f"alter system set synchronous_standby_names = '{STANDBY}'")
        await connection.execute("select pg_reload_conf()")
        state = "select sync_state from pg_stat_replication where application_name = $1"
        while await connection.fetchval(state, STANDBY) != "sync":
            pass
        await connection.close()

    def kill_primary(self) -> None:
        """Kill every process of the primary, as when its machine loses power."""
        kill(self.primary)

    async def promote(self) -> None:
        """Make the standby the primary."""
        connection = await asyncpg.connect(self.standby.dsn)
        await connection.execute("select pg_promote()")
        await connection.close()

    def stop(self) -> None:
        """Stop what still runs."""
        for server in (self.standby, self.primary):
            server.stop()


def kill(server: EmbeddedPostgres) -> None:
    """Kill the server and its children, and see them gone."""
    process = psutil.Process(server.pid)
    for each in (process, *process.children(recursive=True)):
        try:
            each.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
    server.stop()
