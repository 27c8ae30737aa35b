"""How jobs record what happens to them: lines in a file that is only ever appended to.

They are there whatever becomes of the process and of the database, and `record` reads them.
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from asyncjobs import current_job

if TYPE_CHECKING:
    from collections.abc import Iterator


@cache
def record() -> int:
    """Open the record, when the first job runs."""
    return os.open(os.environ["CHAOS_RECORD"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def write(kind: str, **facts: object) -> None:
    """Append a line: what, job, attempt, process, the system's monotonic clock, and *facts*."""
    job = current_job()
    words = [kind, job.id, job.attempt, os.getpid(), time.monotonic_ns()]
    words += [f"{name}={fact}" for name, fact in facts.items()]
    os.write(record(), f"{' '.join(map(str, words))}\n".encode())


@contextmanager
def recorded(**facts: object) -> Iterator[None]:
    """Record the beginning of a job, with *facts* about it, and how it ends."""
    write("begin", **facts)
    try:
        yield
    except asyncio.CancelledError:
        write("cancelled")
        raise
    except BaseException:
        write("failed")
        raise
    write("succeeded")
