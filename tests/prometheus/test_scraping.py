"""A real Prometheus scrapes an application as the page says, and answers the dashboard."""

from __future__ import annotations

import asyncio
import re
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg
import httpx
import uvicorn
import yaml
from starlette.applications import Starlette

from asyncjobs import JobManager, PostgresAdapter, WorkerGroup
from tests.monitoring import ALERTS_FILE, PAGE, queries

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.prometheus.server import Prometheus

EVERY = {"scrape_interval": "1s", "evaluation_interval": "1s"}
VARIABLES = {"$adapter": ".*", "$queue": ".*", "$__rate_interval": "30s"}


async def test_each_panel_and_rule_works(
    prometheus: Callable[[dict[str, Any]], Prometheus], dsn: str
) -> None:
    async with served(dsn) as (address, work), prometheus(configuration(address)) as server:
        await server.until(lambda: is_scraped(server))
        async with work():
            await server.until(lambda: all_panels_show(server))
            assert await server.label_values("adapter", "asyncjobs_database_up") == [
                "main",
                "pooled",
            ]
            assert await server.label_values("queue", "asyncjobs_jobs") == ["default"]
            await server.until(lambda: are_evaluated(server))
            assert (await standing(server))["AsyncjobsJobsGivenUp"] == "firing"
            assert (await standing(server))["AsyncjobsNoWorkers"] == "inactive"

        await server.until(lambda: is_pending(server, "AsyncjobsNoWorkers"))


async def test_the_words_of_the_exporter_are_good_style(
    promtool: Callable[..., str], dsn: str
) -> None:
    async with served(dsn) as (address, _), httpx.AsyncClient() as client:
        headers = {"Authorization": "Bearer swordfish"}
        answer = await client.get(f"http://{address}/metrics", headers=headers)
    assert "asyncjobs_database_up" in answer.text
    assert promtool("check", "metrics", given=answer.text) == ""


def configuration(address: str) -> dict[str, Any]:
    """Return what the page shows, for the app at *address*, with our rules."""
    found = re.search(r"```yaml\n(# prometheus.yml\n.+?)```", PAGE, re.DOTALL)
    assert found is not None
    shown: dict[str, Any] = yaml.safe_load(found[1])
    [scrape] = shown["scrape_configs"]
    scrape["static_configs"][0]["targets"] = [address]
    return {
        "global": EVERY,
        "rule_files": [str(ALERTS_FILE)],
        **shown,
    }


@asynccontextmanager
async def served(dsn: str) -> AsyncIterator[tuple[str, Callable[[], Any]]]:
    """Serve an app; give its address, and a context in which a worker has jobs to run."""
    async with asyncpg.create_pool(dsn, min_size=0, max_size=20) as pool:
        jobs = JobManager(
            # A pool for what is told of pools; without one for the lag of the event loop.
            adapters={"main": PostgresAdapter(dsn), "pooled": PostgresAdapter(pool=pool)},
            workers=[WorkerGroup(adapter="main", name="all", heartbeat_interval=0.2)],
        )

        @jobs.job(max_attempts=1)
        async def send(fails: bool) -> None:
            if fails:
                raise OSError

        @jobs.job(cron="@daily")
        async def tidy() -> None: ...

        later = jobs.create_scheduler(adapter="main")

        @asynccontextmanager
        async def work() -> AsyncIterator[None]:
            stop = asyncio.Event()
            working = asyncio.create_task(jobs.work(stop))
            try:
                await later.many([send(fails=number % 2 == 1) for number in range(10)])
                yield
            finally:
                stop.set()
                await working

        app = Starlette()
        app.add_route("/metrics", jobs.metrics(token="swordfish"))
        async with jobs:
            server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
            with socket.create_server(("127.0.0.1", 0)) as listening:
                host, port = listening.getsockname()
                serving = asyncio.create_task(server.serve(sockets=[listening]))
                try:
                    yield f"{host}:{port}", work
                finally:
                    server.should_exit = True
                    await serving


def for_all(query: str) -> str:
    """Return what the dashboard asks by *query*, of all adapters and queues."""
    for name, value in VARIABLES.items():
        query = query.replace(name, value)
    return query


async def is_scraped(server: Prometheus) -> bool:
    return [sample["value"][1] for sample in await server.query("up")] == ["1"]


async def all_panels_show(server: Prometheus) -> bool:
    """Whether each query has an answer with numbers."""
    for query in map(for_all, queries()):
        if not await server.query(query):
            print("nothing yet:", query)  # shown if it stays so
            return False
    return True


async def are_evaluated(server: Prometheus) -> bool:
    rules = await server.rules()
    return bool(rules) and all(rule["health"] == "ok" for rule in rules.values())


async def standing(server: Prometheus) -> dict[str, str]:
    return {name: rule["state"] for name, rule in (await server.rules()).items()}


async def is_pending(server: Prometheus, alert: str) -> bool:
    return (await standing(server))[alert] == "pending"
