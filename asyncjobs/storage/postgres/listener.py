"""LISTEN that proves itself: a connection whose peer silently vanished looks idle for ever."""

from __future__ import annotations

import asyncio
import json
import math
import random
import re
import time
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias, TypeVar, cast
from uuid import uuid4

import asyncpg

from asyncjobs.logs import get_logger
from asyncjobs.storage.postgres.borrowed import is_closed
from asyncjobs.storage.postgres.failures import UNAVAILABLE, raise_cancellation
from asyncjobs.types import Signal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from asyncjobs.storage.postgres.lanes import Lanes
    from asyncjobs.storage.postgres.source import ConnectionSource
    from asyncjobs.storage.postgres.statements import Statements

    OnNews: TypeAlias = Callable[[Signal, int], None]

PROBE_INTERVAL = 4.0
"""Seconds between two proofs of life. Until a loss is seen, polling carries on."""
SILENCE = Signal()
"""What a notification tells that is of no use to us."""
FIRST = re.compile(r'\{"first" ?: ?(\d+), ?')
"""How a notification begins that tells the position of the first of the jobs that are ready."""
KNOWN = 64
"""Notifications whose meaning is kept: most say no more than that a queue has jobs."""
PRIORITIES = range(-(2**15), 2**15)
PROBE_TIMEOUT = 4.0
LEAVE_TIMEOUT = 2.0
FIRST_DELAY, LONGEST_DELAY = 0.1, 5.0
DEAF_DELAY = 300.0
"""Seconds until another try where LISTEN is accepted and nothing is heard."""


T = TypeVar("T")


class DeafError(Exception):
    """LISTEN is taken and nothing is heard: a pooler is in between, or it is another database."""


class Listener:
    """One connection that listens, for all workers of a process.

    It is a connection of *lanes*, or one that *direct* gives.
    """

    def __init__(
        self,
        lanes: Lanes,
        statements: Statements,
        channel: str,
        on_signal: OnNews,
        *,
        direct: ConnectionSource | None = None,
    ) -> None:
        self._lanes, self._channel, self._on_signal = lanes, channel, on_signal
        self._source, self._is_direct = direct or lanes.source, direct is not None
        self._prove, self._call = statements.prove_listening, statements.call_listener
        self._own_channel = f"asyncjobs_{uuid4().hex}"
        self._log = get_logger()
        self._offset, self._pid = 0.0, 0
        self._heard = asyncio.Event()
        self._closed = asyncio.Event()
        self._lost_at: float | None = None
        self._is_deaf = False

    async def run(self) -> None:
        """Listen until cancelled; after each loss connect again."""
        delay = FIRST_DELAY
        while True:
            self._heard.clear()
            try:
                await self._listen_once()
            except DeafError:
                delay = DEAF_DELAY
                self._report_deaf()
            except (*UNAVAILABLE, asyncpg.PostgresError) as error:
                raise_cancellation(error)
                if isinstance(error, TimeoutError):
                    self._lanes.suspect()
                delay = FIRST_DELAY if self._heard.is_set() else min(delay * 2, LONGEST_DELAY)
                self._report_loss(error)
            self._on_signal(Signal(missed=True), 0)
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 - no secret

    async def _listen_once(self) -> None:
        connection = await self._source.take("listen")
        try:
            await self._listen(connection)
        except (asyncio.CancelledError, DeafError):
            await self._leave(connection)
            raise
        except BaseException:
            self._source.throw_away(connection)
            raise

    async def _listen(self, connection: asyncpg.Connection) -> None:
        self._closed.clear()
        connection.add_termination_listener(self._on_termination)
        async with asyncio.timeout(PROBE_TIMEOUT):
            await connection.add_listener(self._own_channel, self._on_proof)
            await connection.add_listener(self._channel, self._on_notification)
        self._on_signal(Signal(missed=True), 0)
        if not await self._hears_itself(connection) or not await self._hears_others(connection):
            raise DeafError
        while True:
            self._on_signal(Signal(proven=True), 0)
            self._report_return()
            with suppress(TimeoutError):
                # Not wait_for: before Python 3.12 it may swallow a cancellation.
                async with asyncio.timeout(PROBE_INTERVAL):
                    await self._closed.wait()
            if self._closed.is_set():
                raise ConnectionResetError("the connection was closed")
            if not await self._hears_itself(connection):
                raise TimeoutError("notifications do not arrive any more")

    async def _hears_itself(self, connection: asyncpg.Connection) -> bool:
        # That the connection answers is not enough: a pooler in transaction mode takes LISTEN
        # and forgets it.
        self._heard.clear()
        deadline = asyncio.get_running_loop().time() + PROBE_TIMEOUT
        [row] = await connection.fetch(self._prove, self._own_channel, timeout=PROBE_TIMEOUT)
        self._offset, self._pid = row["now"] - time.monotonic(), row["pid"]
        return await self._hears_until(deadline)

    async def _hears_others(self, connection: asyncpg.Connection) -> bool:
        # Behind such a pooler LISTEN and NOTIFY may meet on one connection of the server, which
        # then hears itself and nobody else. A pooler gives out process numbers of its own.
        if self._pid == connection.get_server_pid() and not self._is_direct:
            return True
        self._heard.clear()
        await self._lanes.fleet.fetch(self._call, self._own_channel, timeout=PROBE_TIMEOUT)
        return await self._hears_until(asyncio.get_running_loop().time() + PROBE_TIMEOUT)

    async def _hears_until(self, deadline: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await self._heard.wait()
        return self._heard.is_set()

    async def _leave(self, connection: asyncpg.Connection) -> None:
        # Raises nothing but a cancellation: an error would take the place of one that passes.
        if is_closed(connection):
            self._source.throw_away(connection)
            return
        connection.remove_termination_listener(self._on_termination)
        try:
            async with asyncio.timeout(LEAVE_TIMEOUT):
                await connection.remove_listener(self._channel, self._on_notification)
                await connection.remove_listener(self._own_channel, self._on_proof)
                await self._source.give_back(connection)
        except (*UNAVAILABLE, asyncpg.PostgresError):
            self._source.throw_away(connection)
        except BaseException:
            self._source.throw_away(connection)
            raise

    def _report_loss(self, error: BaseException) -> None:
        # Once for each outage, however often it is tried.
        if self._lost_at is None:
            self._lost_at = time.monotonic()
            self._log.warning("listener.lost", error=f"{type(error).__name__}: {error}")

    def _report_return(self) -> None:
        self._is_deaf = False
        if self._lost_at is not None:
            self._log.info("listener.back", seconds=round(time.monotonic() - self._lost_at, 1))
            self._lost_at = None

    def _report_deaf(self) -> None:
        if not self._is_deaf:
            self._is_deaf = True
            self._log.warning(
                "listener.deaf",
                hint="workers poll: a pooler in between? listen_dsn= can lead around it, to the "
                "same database",
            )

    def _on_termination(self, _: object) -> None:
        self._closed.set()

    def _on_proof(self, _: object, pid: int, channel: str, payload: object) -> None:
        self._heard.set()

    def _on_notification(self, _: object, pid: int, channel: str, payload: object) -> None:
        try:
            text, first = str(payload), 0
            if found := FIRST.match(text):  # no two are alike in it, but in all the rest
                text, first = "{" + text[found.end() :], int(found[1])
            signal, due = told_by(text)
            if due is not None:
                signal = signal._replace(due_in=due - time.monotonic() - self._offset)
            if signal != SILENCE:
                self._on_signal(signal, first)
        except (ValueError, TypeError, AttributeError):  # also of those who are told
            self._log.warning("notification.refused", payload=str(payload)[:200])


@lru_cache(maxsize=KNOWN)
def told_by(payload: str) -> tuple[Signal, float | None]:
    """Return what a notification tells, and when, in seconds since 1970, the next job is due.

    Raises ValueError, TypeError and AttributeError.
    """
    # Whoever may connect to the database may notify.
    news = json.loads(payload)
    priority, due = news.get("priority", 0), news.get("due")
    if not (type(priority) is int and priority in PRIORITIES):
        raise ValueError(f"a priority is from -32768 to 32767, got {priority!r}")
    if due is not None and not math.isfinite(due):
        raise ValueError(f"a job is due at a moment, got {due}")
    told = Signal(
        ready=frozenset(_all_of(str, news.get("ready", ()))),
        priority=priority,
        cancel=_all_of(int, news.get("cancel", ())),
        watched=_all_of(int, news.get("watched", ())),
        changed=_all_of(int, news.get("changed", ())),
        lanes=_all_of(str, news.get("lanes", ())),
        workers=_all_of(int, news.get("workers", ())),
        pauses=bool(news.get("pauses")),
        schedules=bool(news.get("schedules")),
    )
    return told, due


def _all_of(kind: type[T], values: Iterable[object]) -> tuple[T, ...]:
    found = tuple(values)
    if not all(isinstance(value, kind) for value in found):
        raise ValueError(f"each must be of {kind.__name__}, got {found!r}")
    return cast("tuple[T, ...]", found)
