"""A process of a peer, in the peer's environment: a client or a worker.

    python -m benchmarks.agent client|worker PEER URL [OPTIONS AS JSON]

It takes one JSON object a line on stdin, ``{"do": verb, …}``, and answers with one line on
stdout. A worker also tells, every 20 ms at most, how many jobs it has started. It ends when
stdin does. `peers/graphile_worker.mjs` speaks the same language.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import logging
import os
import random
import sys
import time
import traceback
from typing import TYPE_CHECKING, Any

from benchmarks.peer import RECORD, Level, argument

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TextIO

    from benchmarks.peer import Adapter

TELL_INTERVAL = 0.02
BULK = 1_000


class Client:
    """The verbs of a client."""

    def __init__(self, adapter: Adapter) -> None:
        self.adapter = adapter

    async def install(self) -> dict[str, Any]:
        """Make the tables."""
        await self.adapter.install()
        return {}

    async def later(self, seconds: float, callers: int) -> dict[str, Any]:
        """Call `later` again and again for *seconds*, from so many *callers* at once."""
        end = time.monotonic() + seconds

        async def call() -> int:
            count = 0
            while time.monotonic() < end:
                await self.adapter.later(0, Level.NORMAL)
                count += 1
            return count

        start = time.monotonic()
        count = sum(await asyncio.gather(*(call() for _ in range(callers))))
        return {"count": count, "seconds": time.monotonic() - start}

    async def many(self, seconds: float, size: int) -> dict[str, Any]:
        """Store batches of *size* for *seconds*."""
        count, start = 0, time.monotonic()
        while time.monotonic() < start + seconds:
            await self.adapter.many(size, Level.NORMAL)
            count += size
        return {"count": count, "seconds": time.monotonic() - start}

    async def fill(self, count: int, level: int, callers: int = 50) -> dict[str, Any]:
        """Store *count* jobs, in bulk if the peer can."""
        left = count
        if hasattr(self.adapter, "many"):
            while left > 0:
                await self.adapter.many(min(left, BULK), Level(level))
                left -= BULK
            return {}

        async def call(share: int) -> None:
            for _ in range(share):
                await self.adapter.later(argument(Level(level)), Level(level))

        shares = [count // callers + (index < count % callers) for index in range(callers)]
        await asyncio.gather(*map(call, shares))
        return {}

    async def stamp(self, samples: int, pause: float, level: int = Level.NORMAL) -> dict[str, Any]:
        """Store *samples* jobs one by one that know when; about *pause* seconds apart."""
        for _ in range(samples):
            await self.adapter.later(time.monotonic_ns(), Level(level))
            # At random, so as not to keep step with a poll.
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))
        return {}

    async def load(self, rate: float, seconds: float, size: int = 100) -> dict[str, Any]:
        """Store *rate* jobs a second, in batches of *size*, evenly."""
        start = time.monotonic()
        count = 0
        while (elapsed := time.monotonic() - start) < seconds:
            if count > rate * elapsed:
                await asyncio.sleep((count - rate * elapsed) / rate)
            await self.adapter.many(size, Level.NORMAL)
            count += size
        return {"count": count, "seconds": time.monotonic() - start}

    def __getattr__(self, verb: str) -> Any:
        """Return a verb of the peer's own, such as `unfinished` or `naps`."""
        return getattr(self.adapter, verb)


class Worker:
    """The verbs of a worker."""

    async def delays(self) -> dict[str, Any]:
        """Return the delays of stamped jobs so far, in ns, and forget them."""
        delays, RECORD.delays = RECORD.delays, []
        return {"delays": delays}

    async def forget(self) -> dict[str, Any]:
        """Forget what was run so far."""
        RECORD.forget()
        return {}


async def main(role: str, adapter: Adapter, options: dict[str, Any], out: TextIO) -> None:
    """Serve stdin until it ends."""
    side: Client | Worker
    tasks = []
    if role == "client":
        side = Client(adapter)
        opened = False
    else:
        side, opened = Worker(), True
        tasks = [asyncio.create_task(_tell(out)), asyncio.create_task(_work(adapter, options, out))]
    async for line in _lines():
        command = json.loads(line)
        verb = command.pop("do")
        if not opened and verb != "install":
            await adapter.open()
            opened = True
        _write(out, await _answer(getattr(side, verb, None), verb, command))
    del tasks


async def _answer(
    method: Callable[..., Awaitable[Any]] | None, verb: str, given: dict[str, Any]
) -> dict[str, Any]:
    if method is None:
        return {"missing": verb}
    try:
        return await method(**given) or {}
    except Exception as error:  # noqa: BLE001 - the harness reports it
        traceback.print_exc()
        if isinstance(error, AttributeError) and error.name == "many":
            return {"missing": "many"}
        return {"error": f"{type(error).__name__}: {error}"}


async def _work(adapter: Adapter, options: dict[str, Any], out: TextIO) -> None:
    try:
        await adapter.work(options)
    except Exception as error:  # noqa: BLE001 - the harness reports it
        traceback.print_exc()
        _write(out, {"event": "failed", "error": f"{type(error).__name__}: {error}"})


async def _tell(out: TextIO) -> None:
    told = -1
    while True:
        if told != (told := RECORD.count):
            _write(
                out,
                {"event": "ran", "count": told, "first": RECORD.first, "last": RECORD.last},
            )
        await asyncio.sleep(TELL_INTERVAL)


async def _lines() -> Any:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield line


def _write(out: TextIO, answer: dict[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):
        out.write(json.dumps(answer) + "\n")
        out.flush()


def _run() -> None:
    role, name, url = sys.argv[1:4]
    options = json.loads(sys.argv[4]) if len(sys.argv) > 4 else {}
    # Peers print to stdout as they please; our lines go to a copy of it.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    logging.basicConfig(level=logging.WARNING)
    import uvloop

    adapter = importlib.import_module(f"benchmarks.peers.{name}").Adapter(url)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main(role, adapter, options, out))
            os._exit(0)  # whatever still runs: the database is thrown away
    except BaseException as error:  # noqa: BLE001 - the harness reports it
        traceback.print_exc()
        _write(out, {"event": "failed", "error": f"{type(error).__name__}: {error}"})
        os._exit(1)


if __name__ == "__main__":
    _run()
