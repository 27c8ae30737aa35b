"""The JSON API: what it says, what it does, and whom it lets do it."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.routing import Route

from asyncjobs import PostgresAdapter
from asyncjobs.dashboard import Identity
from asyncjobs.dashboard.api import OPERATIONS
from asyncjobs.dashboard.openapi import document
from asyncjobs.types import Limit
from tests.dashboard.sites import make_manager, served

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import httpx

    from tests.dashboard.sites import Site

HEADERS = {"X-Asyncjobs": "api"}


@pytest.fixture
async def api(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    async with site.asking() as client:
        yield client


async def test_jobs_are_found_counted_and_told(site: Site, api: httpx.AsyncClient) -> None:
    send = site.jobs.registry["send_mail"]
    first, second = await site.later.many([send(7), send(8)], tags=["vip"], meta={"why": "test"})
    page = (await api.get("/api/jobs", params={"q": "mail", "limit": 1})).json()
    assert [job["id"] for job in page["jobs"]] == [second.id]
    page = (await api.get("/api/jobs", params={"q": "mail", "after": page["after"]})).json()
    [job] = page["jobs"]
    assert (job["id"], job["name"], job["queue"], job["priority"]) == (
        first.id, "send_mail", "email", 10,
    )  # fmt: skip
    assert (job["args"], job["meta"], job["tags"]) == (
        {"user_id": 7, "subject": "Hello"} if "subject" in job["args"] else {"user_id": 7},
        {"why": "test"},
        ["vip"],
    )
    assert page["after"] is None
    assert (await api.get("/api/jobs/count?q=tag:vip")).json() == {"jobs": 2, "is_exact": True}
    assert (await api.get(f"/api/jobs/{first.id}")).json() == job
    for path in ("/api/jobs/99", f"/api/jobs/{2**70}"):
        answer = await api.get(path)
        assert (answer.status_code, list(answer.json())) == (404, ["error"])


async def test_the_overview_the_queues_and_the_workers_are_told(
    site: Site, api: httpx.AsyncClient
) -> None:
    await site.later(site.jobs.registry["send_mail"](7))
    overview = (await api.get("/api/overview?period=now")).json()
    assert (overview["waiting"], overview["workers"]) == (1, 0)
    assert overview["findings"][0]["what"] == "No worker runs."
    queues = (await api.get("/api/queues")).json()["queues"]
    assert [(queue["name"], queue["available"]) for queue in queues] == [
        ("default", 0),
        ("email", 1),
    ]
    assert (await api.get("/api/workers")).json() == {"workers": []}


async def test_jobs_are_acted_on(site: Site, api: httpx.AsyncClient) -> None:
    send = site.jobs.registry["send_mail"]
    jobs = await site.later.many([send(n) for n in range(4)])
    ids = [job.id for job in jobs]

    async def done(path: str, body: dict[str, Any]) -> int:
        answer = await api.post(f"/api/jobs/{path}", json=body, headers=HEADERS)
        assert answer.status_code == 200, answer.text
        return int(answer.json()["jobs"])

    assert await done("cancel", {"ids": ids[:2]}) == 2
    assert await done("retry", {"all": True, "state": "cancelled"}) == 2
    assert await done("reschedule", {"all": True, "q": "name:send_mail", "wait": 60}) == 4
    assert await done(f"{ids[0]}/retry", {"args": {"user_id": 9}}) == 1
    assert await done("delete", {"all": True, "q": "args.user_id:9"}) == 1
    assert await done("delete", {"all": True}) == 3


async def test_what_is_not_clear_is_not_done(site: Site, api: httpx.AsyncClient) -> None:
    job = await site.later(site.jobs.registry["send_mail"](7))
    for path, body, status in (
        ("delete", {}, 422),
        ("delete", {"q": "name:send_mail"}, 422),
        ("delete", {"all": True, "ids": [job.id]}, 422),
        ("delete", {"ids": [job.id], "state": "failed"}, 422),
        ("delete", {"all": True, "querry": "state:failed"}, 422),
        ("delete", {"all": True, "q": "stat:failed"}, 400),
        ("delete", {"all": True, "state": "odd"}, 400),
        ("delete", {"all": True, "q": r'queue:"\ud800"'}, 400),
        ("delete", {"all": True, "q": "after:0001-01-01T00:00:00+10:00"}, 400),
        ("delete", {"all": True, "state": "failed", "q": "state:available"}, 400),
        ("reschedule", {"all": True}, 422),
        ("reschedule", {"all": True, "wait": 1, "wait_until": "2030-01-01T00:00:00Z"}, 422),
        ("reschedule", {"all": True, "wait_until": "2030-01-01T00:00:00"}, 422),
        (f"{job.id}/retry", {"args": {"user_id": "x"}}, 400),
        (f"{job.id}/retry", {"args": []}, 422),
        ("99999/retry", {"args": {}}, 404),
    ):
        answer = await api.post(f"/api/jobs/{path}", json=body, headers=HEADERS)
        assert answer.status_code == status, (path, body, answer.text)
        assert list(answer.json()) == ["error"]
    answer = await api.get("/api/jobs?nonsense=1")
    assert answer.status_code == 422
    assert (await site.later.get(job.id)) is not None


async def test_only_programs_and_who_may_act_do(site: Site) -> None:
    job = await site.later(site.jobs.registry["send_mail"](7))
    body = {"ids": [job.id]}
    async with site.asking() as api:
        for headers in (
            {"Sec-Fetch-Site": "same-origin"},
            {**HEADERS, "Sec-Fetch-Site": "cross-site"},
            {**HEADERS, "Origin": "https://evil.example"},
        ):
            answer = await api.post("/api/jobs/delete", json=body, headers=headers)
            assert answer.status_code == 403, headers
            assert list(answer.json()) == ["error"]
        answer = await api.post("/api/jobs/delete", json=body)
        assert answer.status_code == 403
        assert "the header X-Asyncjobs: api" in answer.json()["error"]
        form = {**HEADERS, "Content-Type": "application/x-www-form-urlencoded"}
        answer = await api.post("/api/jobs/delete", content=b"{}", headers=form)
        assert answer.status_code == 422
        answer = await api.post("/api/jobs/delete", content=b"[" * 1_000_001, headers={
            **HEADERS, "Content-Type": "application/json",
        })  # fmt: skip
        assert answer.status_code == 422
    for options in ({"read_only": True}, {"auth": lambda _: Identity("Eve")}):
        async with site.asking(**options) as api:
            answer = await api.post("/api/jobs/delete", json=body, headers=HEADERS)
            assert answer.status_code == 403
            assert (await api.get("/api/jobs")).status_code == 200
    async with site.browser(site.jobs.dashboard(), ("10.0.0.1", 1)) as api:
        answer = await api.get("/api/jobs")
        assert answer.status_code == 403
        assert "auth=" in answer.json()["error"]
    assert (await site.later.get(job.id)) is not None


async def test_hidden_arguments_are_hidden_here_too(site: Site) -> None:
    await site.later(site.jobs.registry["send_mail"](7, subject="secret"))
    async with site.asking(redact=["subject"]) as api:
        [job] = (await api.get("/api/jobs")).json()["jobs"]
        assert job["args"] == {"user_id": 7, "subject": "[hidden]"}
        assert (await api.get("/api/jobs?q=args.subject:secret")).status_code == 400


# Whatever is sent

CHECKED = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
SCHEMA = schemathesis.openapi.from_dict(document("Jobs", OPERATIONS))
DESCRIBED = {found.ok().label: found.ok() for found in SCHEMA.get_all_operations()}


BUSY = """
with worker as (
    insert into asyncjobs.workers (id, name, worker_group, queues, host, host_id, pid,
        process_started, lease, version, concurrency, quiet_at)
    overriding system value
    values (1, 'w', 'g', '{email}', 'h', 'h', 1, 1, '1 hour', '1.0', 5, now()),
        (2, 'old', 'g', '{}', 'h', 'h', 1, 1, '1 s', null, null, null)
)
insert into asyncjobs.jobs (position, run_at, state, name, queue, args, attempt, attempted_at,
    locked_by)
values (1, now(), 'running', 'send_mail', 'email', '{}', 1, now(), 1)
"""
"""A worker that runs a job, and one of an earlier version that is silent."""


async def store_some(dsn: str) -> None:
    jobs, later = make_manager(PostgresAdapter(dsn))
    async with jobs:
        await later.many([jobs.registry["divide"](1, n) for n in range(3)], tags=["red"])
        await jobs.workoff()
        await later.many([jobs.registry["send_mail"](n) for n in range(3)])
        await later(jobs.registry["send_mail"](7), cron="@daily", name="0")
        await later.pause(key="0")
        await jobs.adapters["main"].limits.declare([Limit("job:divide", 2)])
    connection = await asyncpg.connect(dsn)
    await connection.execute(BUSY)
    await connection.close()


@pytest.fixture(scope="module")
def address(migrated_database: Any) -> Iterator[str]:
    with migrated_database() as dsn:
        asyncio.run(store_some(dsn))
        jobs, _ = make_manager(PostgresAdapter(dsn))
        with served(jobs.dashboard()) as address:
            yield address


@pytest.mark.parametrize(
    ("label", "mode"),
    [
        (label, mode)
        for label, operation in DESCRIBED.items()
        for mode in GenerationMode
        if mode is GenerationMode.POSITIVE or operation.body or operation.query or "{" in label
    ],
)
def test_nothing_that_is_sent_makes_the_api_fail(
    address: str, label: str, mode: GenerationMode
) -> None:
    @settings(
        max_examples=30, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(case=DESCRIBED[label].as_strategy(generation_mode=mode))
    def send(case: Any) -> None:
        answer = case.call(base_url=f"{address}/api", headers=HEADERS)
        case.validate_response(answer, checks=CHECKED)

    send()


async def test_the_document_is_served_and_names_every_route(api: httpx.AsyncClient) -> None:
    found = (await api.get("/api/openapi.json")).json()
    assert found["openapi"] == "3.1.0"
    assert found["paths"].keys() == {
        re.sub(r"{(\w+):int}", r"{\1}", operation.path) for operation in OPERATIONS
    }
    assert found["paths"]["/jobs"]["get"]["responses"]["200"]


async def test_whatever_is_served_below_api_is_described_and_sent_nonsense(site: Site) -> None:
    served = {
        (method, re.sub(r"{(\w+):int}", r"{\1}", route.path.removeprefix("/api")))
        for route in site.jobs.dashboard().routes
        if isinstance(route, Route) and route.path.startswith("/api/")
        for method in (route.methods or set()) - {"HEAD"}
    }
    described = {(found.method.upper(), found.path) for found in DESCRIBED.values()}
    assert served - described == {("GET", "/openapi.json")}
    assert described <= served
    for noun in ("workers", "schedules", "queues", "lanes", "limits"):
        assert any(path.startswith(f"/{noun}") for _, path in described), noun
