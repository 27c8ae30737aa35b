"""Who is answered, and in which format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import fastapi
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from starlette.exceptions import HTTPException

from asyncjobs import ConfigError, JobManager, MemoryAdapter, PostgresAdapter
from asyncjobs.dashboard import password
from asyncjobs.metrics import Identity
from tests.metrics.conftest import make_manager
from tests.metrics.scraping import Scrape, ask

if TYPE_CHECKING:
    from starlette.requests import Request

FAR = ("10.0.0.7", 50_000)


@pytest.fixture
def jobs() -> JobManager:
    return make_manager(MemoryAdapter())


@pytest.mark.parametrize(
    ("client", "host", "headers"),
    [
        (FAR, "localhost", {}),
        (("127.0.0.1", 1), "jobs.example.org", {}),
        (("127.0.0.1", 1), "localhost", {"X-Forwarded-For": "127.0.0.1"}),
    ],
)
async def test_without_a_word_only_this_machine_is_answered(
    jobs: JobManager, client: tuple[str, int], host: str, headers: dict[str, str]
) -> None:
    async with jobs:
        app = jobs.metrics()
        assert (await ask(app)).status_code == 200
        answer = await ask(app, client=client, host=host, headers=headers)
        assert answer.status_code == 403
        assert "token=" in answer.text
        assert "asyncjobs_" not in answer.text


async def test_a_token_lets_in_who_has_it(jobs: JobManager) -> None:
    async with jobs:
        app = jobs.metrics(token="swordfish")
        right = {"Authorization": "Bearer swordfish"}
        assert (await ask(app, client=FAR, headers=right)).status_code == 200
        for wrong in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Basic swordfish"}):
            answer = await ask(app, headers=wrong)
            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_what_the_dashboard_takes_as_auth_is_taken_here(jobs: JobManager) -> None:
    async def auth(request: Request) -> Identity | None:
        if request.headers.get("x-user") == "eve":
            raise HTTPException(418, "not you")
        return Identity("ada") if request.headers.get("x-user") == "ada" else None

    async with jobs:
        app = jobs.metrics(auth=auth)
        assert (await ask(app, client=FAR, headers={"X-User": "ada"})).status_code == 200
        assert (await ask(app, client=FAR)).status_code == 403
        refused = await ask(app, client=FAR, headers={"X-User": "eve"})
        assert (refused.status_code, refused.text) == (418, "not you\n")
        basic = jobs.metrics(auth=password("prometheus", "swordfish"))
        assert (await ask(basic)).status_code == 401
        given = {"Authorization": "Basic cHJvbWV0aGV1czpzd29yZGZpc2g="}
        assert (await ask(basic, client=FAR, headers=given)).status_code == 200


async def test_public_is_for_everybody(jobs: JobManager) -> None:
    async with jobs:
        assert (await ask(jobs.metrics(public=True), client=FAR, host="x.org")).status_code == 200


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"token": "x", "public": True}, "one of auth=, token= and public=, got token and public"),
        ({"token": " "}, "token must be text, and not empty"),
        ({"token": 5}, "token must be text, and not empty"),
        ({"auth": 3}, "auth must be a function from a request to an Identity, got: int"),
        ({"public": "false"}, "public must be True or False, got 'false'"),
        ({"cluster": "no"}, "cluster must be True or False, got 'no'"),
        ({"process": None}, "process must be True or False, got None"),
        ({"cluster": False, "process": False}, "leave nothing to tell"),
    ],
)
def test_what_makes_no_sense_is_refused(
    jobs: JobManager, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        jobs.metrics(**options)


async def test_open_metrics_is_there_for_whoever_accepts_it(jobs: JobManager) -> None:
    accept = "application/openmetrics-text; version=1.0.0, text/plain; version=0.0.4; q=0.5"
    async with jobs:
        plain = await ask(jobs.metrics())
        answer = await ask(jobs.metrics(), headers={"Accept": accept})
    assert plain.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.text.endswith("# EOF\n")
    found = Scrape(text_string_to_metric_families(answer.text))
    assert found.value("database_up") == 1


async def test_an_app_that_has_not_opened_its_manager_is_told_so() -> None:
    jobs = make_manager(PostgresAdapter("postgresql://localhost/nowhere"))
    answer = await ask(jobs.metrics())
    assert answer.status_code == 503
    assert "has not opened its JobManager" in answer.text


async def test_it_is_a_route_or_a_mount_and_answers_to_reading_only(jobs: JobManager) -> None:
    app = fastapi.FastAPI(lifespan=jobs.lifespan(work=False))
    app.add_route("/metrics", jobs.metrics())
    mounted = fastapi.FastAPI()
    mounted.mount("/metrics", jobs.metrics())
    async with app.router.lifespan_context(app):
        assert (await ask(app)).status_code == 200
        assert (await ask(app, method="POST")).status_code == 405
        assert (await ask(mounted)).headers["Location"] == "http://localhost/metrics/"


async def test_served_alone_it_opens_the_manager(jobs: JobManager) -> None:
    app = jobs.metrics()
    async with app.router.lifespan_context(app):
        assert (await ask(app)).status_code == 200


async def test_all_who_ask_at_once_share_one_reading(
    jobs: JobManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    import anyio

    statistics = jobs.adapters["main"].statistics
    read, times = statistics.totals, []

    async def counted(limit: int) -> Any:
        times.append(limit)
        return await read(limit)

    monkeypatch.setattr(statistics, "totals", counted)
    app = jobs.metrics()
    async with jobs, anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(ask, app)
    assert len(times) == 1
