"""Who this process is, in words that another process can check."""

from __future__ import annotations

import hashlib
import os
import socket
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asyncjobs.types import LocalWorker

START_TOLERANCE = 2.0
"""Seconds between two readings of one process's start: some systems round it."""


@cache
def host_id() -> str:
    """Return what two processes share exactly if they see each other's process numbers.

    That is the host, its last boot, and, in containers, the namespace of process numbers.
    """
    facts = [socket.gethostname(), _read("/etc/machine-id"), _boot(), _pid_namespace()]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:32]


def process_started(pid: int) -> float:
    """Return the start of a process in seconds since 1970, as its system reports it."""
    return float(psutil.Process(pid).create_time())


def gone(workers: Iterable[LocalWorker]) -> list[int]:
    """Return the ids of those *workers* of this machine whose process ended."""
    return [worker.id for worker in workers if not _lives(worker)]


def _lives(worker: LocalWorker) -> bool:
    try:
        process = psutil.Process(worker.pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return abs(process.create_time() - worker.started) < START_TOLERANCE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True  # there is one; that it is another is left to the lease


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
