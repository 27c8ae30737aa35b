"""Two PostgreSQL servers kept by Patroni, with etcd. `make test-ha` installs all of it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from asyncjobs.storage.embedded import find_bindir

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

sys.path.append(str(Path(__file__).parents[1] / "storage"))  # for load.py

PATIENCE = 60.0
AS_NOBODY = ["unshare", "-U", "--map-user=65534", "--map-group=65534"]
"""PostgreSQL refuses root, and another user may not enter root's folders."""


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def until(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.1)
    return found


@dataclass
class Node:
    """A server and the Patroni that keeps it."""

    name: str
    folder: Path
    port: int
    api: int
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def data(self) -> Path:
        return self.folder / self.name

    def kill_server(self) -> None:
        """Kill the postmaster: the others of its processes end by themselves."""
        os.kill(int((self.data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)

    def kill_all(self) -> None:
        """Kill Patroni and the server, as when their machine loses power."""
        assert self.process is not None
        with suppress(psutil.NoSuchProcess):
            family = psutil.Process(self.process.pid).children(recursive=True)
            for each in (psutil.Process(self.process.pid), *family):
                each.kill()
        self.process.wait(PATIENCE)
        with suppress(OSError):  # it left the family when it was started
            self.kill_server()


class Patroni:
    """The cluster: two nodes and their etcd."""

    def __init__(self, folder: Path, prefix: list[str]) -> None:
        self._folder, self._prefix = folder, prefix
        self._etcd_port, peer, *ports = free_ports(6)
        self.nodes = [
            Node("a", folder, ports[0], ports[1]),
            Node("b", folder, ports[2], ports[3]),
        ]
        address, own = f"http://127.0.0.1:{self._etcd_port}", f"http://127.0.0.1:{peer}"
        self._etcd = self._run(
            [
                str(Path(sys.executable).with_name("etcd")),
                *("--data-dir", str(folder / "etcd"), "--name", "e"),
                *("--listen-client-urls", address, "--advertise-client-urls", address),
                *("--listen-peer-urls", own, "--initial-advertise-peer-urls", own),
                *("--initial-cluster", f"e={own}"),
            ],
            "etcd",
        )

    @property
    def dsn(self) -> str:
        """The address of all nodes."""
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        return f"postgresql://postgres@{hosts}/postgres?target_session_attrs=primary"

    def start(self, node: Node) -> None:
        """Run the Patroni of *node*."""
        file = self._folder / f"{node.name}.yml"
        file.write_text(json.dumps(self._configuration(node)))  # which is YAML too
        node.process = self._run([sys.executable, "-m", "patroni", str(file)], node.name)

    def leader(self) -> Node | None:
        """Return the node that leads, once the other one is its synchronous standby."""
        for node in self.nodes:
            with suppress(OSError, ValueError):
                with urllib.request.urlopen(
                    f"http://127.0.0.1:{node.api}/cluster", timeout=5
                ) as answer:
                    members = json.load(answer)["members"]
                roles = {member["role"]: member["name"] for member in members}
                if "sync_standby" in roles and "leader" in roles:
                    return next(each for each in self.nodes if each.name == roles["leader"])
        return None

    def switch_over(self, leader: Node) -> None:
        """Have the other one lead."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{leader.api}/switchover",
            data=json.dumps({"leader": leader.name}).encode(),
            headers={"Content-Type": "application/json"},
        )
        urllib.request.urlopen(request, timeout=PATIENCE).close()

    def stop(self) -> None:
        """End everything, at once."""
        for node in self.nodes:
            if node.process is not None:
                node.kill_all()
        self._etcd.kill()
        self._etcd.wait(PATIENCE)

    def _run(self, command: list[str], name: str) -> subprocess.Popen[bytes]:
        with (self._folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [*self._prefix, *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def _configuration(self, node: Node) -> dict[str, Any]:
        users = {
            role: {"username": name, "password": "x"}
            for role, name in (("superuser", "postgres"), ("replication", "repl"), ("rewind", "rw"))
        }
        parameters = {"wal_log_hints": "on", "wal_keep_size": "128MB", "max_connections": 100}
        return {
            "scope": "jobs",
            "name": node.name,
            "restapi": {
                "listen": f"127.0.0.1:{node.api}",
                "connect_address": f"127.0.0.1:{node.api}",
            },
            "etcd3": {"hosts": f"127.0.0.1:{self._etcd_port}"},
            "bootstrap": {
                "dcs": {
                    "ttl": 20,
                    "loop_wait": 1,
                    "retry_timeout": 3,
                    "primary_start_timeout": 0,
                    "maximum_lag_on_failover": 0,
                    "synchronous_mode": True,
                    "postgresql": {
                        "use_pg_rewind": True,
                        "use_slots": True,
                        "parameters": parameters,
                    },
                },
                "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, {"auth": "trust"}],
            },
            "postgresql": {
                "listen": f"127.0.0.1:{node.port}",
                "connect_address": f"127.0.0.1:{node.port}",
                "data_dir": str(node.data),
                "bin_dir": str(find_bindir()),
                "parameters": {"unix_socket_directories": str(self._folder)},
                "pg_hba": [
                    "local all all trust",
                    "host all all 127.0.0.1/32 trust",
                    "host replication all 127.0.0.1/32 trust",
                ],
                "authentication": users,
            },
        }


@pytest.fixture(scope="session")
def patroni() -> Iterator[Patroni]:
    pytest.importorskip("patroni", reason="`make test-ha` installs Patroni")
    prefix = AS_NOBODY if os.geteuid() == 0 else []
    if prefix and subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
        pytest.skip("root may not make a user namespace here: run this as another user")
    folder = Path(tempfile.mkdtemp(prefix="asyncjobs-ha-"))
    cluster = Patroni(folder, prefix)
    try:
        for node in cluster.nodes:
            cluster.start(node)
        until(cluster.leader, "there is a leader and a standby")
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)
