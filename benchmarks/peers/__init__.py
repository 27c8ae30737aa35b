"""The peers, one file each. A new one: add its file, and its name here."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.peer import Peer

NAMES = (
    "ours",
    "graphile_worker",
    "pgqueuer",
    "chancy",
    "oban",
    "saq",
    "saq_redis",
    "procrastinate",
    "taskiq_postgres",
    "arq",
)


def load(name: str) -> Peer:
    """Return what there is to know of the peer in the file *name*."""
    peer: Peer = importlib.import_module(f"benchmarks.peers.{name}").PEER
    return peer
