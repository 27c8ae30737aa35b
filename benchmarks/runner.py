"""One run: all peers in turn, again and again, on the same server."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
import time
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.bench import Bench
from benchmarks.environments import CannotInstallError, Environment, environment
from benchmarks.limit import limit
from benchmarks.peers import load
from benchmarks.processes import PeerError
from benchmarks.scenarios import EVERYONE, OURS
from benchmarks.servers import Redis

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from benchmarks.peer import Peer
    from benchmarks.scenarios import Scenario
    from benchmarks.servers import Postgres
    from benchmarks.sizes import Sizes

TIMEOUT = 90.0
LONG_TIMEOUT = 240.0
LONG = {"held_snapshot", "scheduled", "drain_beside_waiting"}
ONCE = {"held_snapshot", "memory", "scheduled"}
"""Scenarios that are not repeated: they are long, or do not vary."""
LIMIT = "limit"


@dataclass
class Entry:
    """What is known of a peer after a run."""

    version: str = ""
    runtime: str = ""
    figures: dict[str, list[float]] = field(default_factory=dict)
    """All repetitions, by figure."""
    reasons: dict[str, str] = field(default_factory=dict)
    """Why there is no figure, by scenario."""

    def medians(self) -> dict[str, float]:
        """Return the median of each figure."""
        return {name: median(values) for name, values in self.figures.items()}

    def add(self, figures: dict[str, float]) -> None:
        """Take the figures of one repetition."""
        for name, value in figures.items():
            self.figures.setdefault(name, []).append(value)


@dataclass
class Runner:
    """Runs scenarios and keeps what they return."""

    postgres: Postgres
    sizes: Sizes
    logs: Path
    only: Collection[str] = ()
    """Names of scenarios; none means those that are for the peer."""
    redis: Redis | None = None
    entries: dict[str, Entry] = field(default_factory=dict)
    environments: dict[str, Environment] = field(default_factory=dict)

    async def run(self, names: Sequence[str], repetitions: int) -> None:
        """Measure the limit and all peers in turn, *repetitions* times."""
        async with contextlib.AsyncExitStack() as stack:
            await self._prepare(names, stack)
            for repetition in range(repetitions):
                _say(f"repetition {repetition + 1} of {repetitions}")
                await self._limit()
                for name in names:
                    if name in self.environments:
                        await self._measure(load(name), repetition)

    async def _prepare(self, names: Sequence[str], stack: contextlib.AsyncExitStack) -> None:
        self.logs.mkdir(parents=True, exist_ok=True)
        for name in names:
            peer, entry = load(name), Entry()
            self.entries[name] = entry
            try:
                if peer.store == "redis" and self.redis is None:
                    self.redis = await stack.enter_async_context(Redis.start())
                found = await environment(peer)
            except (CannotInstallError, OSError, TimeoutError) as error:
                entry.reasons["*"] = _plain(f"not installed: {error}")
                _say(f"{name}: {entry.reasons['*']}")
            else:
                self.environments[name] = found
                entry.version, entry.runtime = found.version, found.runtime

    async def _limit(self) -> None:
        entry = self.entries.setdefault(LIMIT, Entry())
        started = time.monotonic()
        try:
            async with asyncio.timeout(TIMEOUT), self.postgres.database("bench_limit") as database:
                figures = await limit(database, self.sizes)
        except (PeerError, TimeoutError) as error:
            entry.reasons["*"] = _plain(str(error) or "timed out")
        else:
            entry.add(figures)
        _say(f"{'limit':16} {time.monotonic() - started:5.1f} s  {_short(entry)}")

    async def _measure(self, peer: Peer, repetition: int) -> None:
        scenarios = (*EVERYONE, *OURS) if peer.name == "ours" or self.only else EVERYONE
        for scenario in scenarios:
            name = scenario.__name__
            is_wanted = not self.only or name in self.only
            if is_wanted and not (repetition and name in ONCE):
                await self._attempt(peer, scenario)

    async def _attempt(self, peer: Peer, scenario: Scenario) -> None:
        name, entry = scenario.__name__, self.entries[peer.name]
        if name in entry.reasons:
            return  # it would not go better now
        timeout = LONG_TIMEOUT if name in LONG else TIMEOUT
        started = time.monotonic()
        try:
            async with asyncio.timeout(timeout):
                figures = await self._in_empty_database(peer, scenario)
        except TimeoutError:
            entry.reasons[name] = f"not done in {timeout:.0f} s"
        except Exception as error:  # noqa: BLE001 - one that fails must not end the others
            entry.reasons[name] = _plain(str(error) or type(error).__name__)
        else:
            entry.add(figures)
        result = entry.reasons.get(name) or _figures(figures)
        _say(f"{peer.name:16} {time.monotonic() - started:5.1f} s  {name}: {result}")

    async def _in_empty_database(self, peer: Peer, scenario: Scenario) -> dict[str, float]:
        async with self.postgres.database(f"bench_{peer.name}") as database:
            if peer.store == "redis" and self.redis is not None:
                await self.redis.empty()
            log = self.logs / f"{peer.name}.log"
            found = self.environments[peer.name]
            bench = Bench(peer, found, database, self.redis, self.sizes, log)
            async with bench.client() as client:
                await client.ask("install")
            return await scenario(bench)


def _figures(figures: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:,.4g}" for name, value in figures.items())


def _short(entry: Entry) -> str:
    return entry.reasons.get("*") or _figures(entry.medians())


def _plain(reason: str) -> str:
    # The first line, without paths and addresses: results are published.
    line = reason.strip().splitlines()[0] if reason.strip() else "failed"
    return re.sub(r"(https?:/)?(/[\w.@~+-]+){2,}/?", "…", line)[:160]


def _say(line: Any) -> None:
    print(line, file=sys.stderr, flush=True)
