"""Who this process is, in words that another process can check."""

from __future__ import annotations

import hashlib
import os
import socket
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from asyncjobs.types import WorkerInfo
from asyncjobs.version import installed_version

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asyncjobs.types import LocalWorker

HOST_ID_VARIABLE = "ASYNCJOBS_HOST_ID"
"""Names what does not change when a container is started again; see `host_id`."""
START_TOLERANCE = 2.0
"""Seconds between two readings of one process's start: some systems round it."""


@cache
def host_id() -> str:
    """Return what two processes share exactly if they see each other's process numbers.

    That is the host, its last boot, and, in containers, the namespace of process numbers. Or
    what ASYNCJOBS_HOST_ID says: a container of the same name has taken the place of the one
    that registered before, whose processes are gone.
    """
    if given := os.environ.get(HOST_ID_VARIABLE):
        return hashlib.sha256(f"given\n{given}".encode(errors="surrogateescape")).hexdigest()[:32]
    facts = [socket.gethostname(), _read("/etc/machine-id"), _boot(), _pid_namespace()]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:32]


def this_process(
    name: str, *, group: str, queues: list[str], lease: float, concurrency: int, quiet: bool
) -> WorkerInfo:
    """Return what a worker in this process says of itself when it registers."""
    pid = os.getpid()
    return WorkerInfo(
        name=name,
        group=group,
        queues=queues,
        host=socket.gethostname(),
        host_id=host_id(),
        pid=pid,
        started=process_started(pid),
        lease=lease,
        version=installed_version() or "unknown",
        concurrency=concurrency,
        quiet=quiet,
    )


def process_started(pid: int) -> float:
    """Return the start of a process in seconds since the system's own.

    Both are moved alike when the clock is set, so that their difference stays.
    """
    return float(psutil.Process(pid).create_time() - psutil.boot_time())


def gone(workers: Iterable[LocalWorker]) -> list[int]:
    """Return the ids of those *workers* of this machine whose process ended."""
    return [worker.id for worker in workers if not _lives(worker)]


def _lives(worker: LocalWorker) -> bool:
    try:
        if psutil.Process(worker.pid).status() == psutil.STATUS_ZOMBIE:
            return False
        return abs(process_started(worker.pid) - worker.started) < START_TOLERANCE
    except psutil.NoSuchProcess:
        return _is_hidden(worker.pid)
    except psutil.AccessDenied:
        return True  # there is one; that it is another is left to the lease


def _is_hidden(pid: int) -> bool:
    # A system may hide the processes of other users; only a signal tells that there is one.
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _boot() -> str:
    return _read("/proc/sys/kernel/random/boot_id") or str(round(psutil.boot_time(), -1))


def _pid_namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
