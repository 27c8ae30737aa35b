"""Lists of jobs, counts and searches on a table with a million rows read little of it.

The rows stand in the order that is worst for lists of the newest: all of one state together.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from asyncjobs import JobFilter, JobState, PostgresAdapter
from asyncjobs.storage.postgres import admin

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

LIMIT = 50
CHILDREN = 1_000
"""Jobs that job 7 scheduled, about."""
ROWS = {
    "failed": 1_000, "cancelled": 50, "available": 300_000, "scheduled": 300_000,
    "succeeded": 397_890, "running": 1_000, "waiting": 60,
}  # fmt: skip
FILL = f"""
insert into asyncjobs.jobs (
    position, run_at, state, name, queue, priority, args, locked_by, attempt, finished_at,
    errors, tags, parent_id, waits_in
)
select
    number,
    now() + case when state = 'scheduled' then 1 else -1 end * number * interval '1 second',
    state::asyncjobs.job_state,
    case when number % 10000 = 7 then 'rare' else 'note' end,
    case when number % 50000 = 3 then 'email' else 'default' end,
    50 + number % 3,
    jsonb_build_object('number', number),
    case when state = 'running' then 1 end,
    1,
    case when state in ('failed', 'cancelled', 'succeeded') then now() end,
    case when state = 'failed' then '[{{"error": "ValueError", "message": "no"}}]'::jsonb end,
    case when number % 100 = 5 then array['tag ' || number % 1000] end,
    case when number % 1000 = 9 then 7 when number % 10 = 1 then number end,
    case when state = 'waiting' then 'key:only' end
from (values {", ".join(str(row) for row in ROWS.items())}) as kind (state, many)
cross join lateral generate_series(1, many) as number
"""


@pytest.fixture(scope="module")
def million(migrated_database: Callable[[], Any]) -> Iterator[str]:
    with migrated_database() as dsn:
        asyncio.run(fill(dsn))
        yield dsn


async def fill(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(FILL)
    await connection.execute("vacuum analyze asyncjobs.jobs")
    await connection.close()


@pytest.fixture
async def adapter(million: str) -> AsyncIterator[PostgresAdapter]:
    adapter = PostgresAdapter(million)
    await adapter.open()
    yield adapter
    await adapter.close()


@pytest.fixture
def plans(adapter: PostgresAdapter, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The plans of the statements that are run, explained before each of them."""
    found: list[dict[str, Any]] = []
    fetch = asyncpg.Connection.fetch

    async def explained(self: Any, query: str, *args: Any, **options: Any) -> Any:
        if query.startswith(("-- find_", "-- count_found")):
            explain = f"explain (analyze, buffers, timing off, format json) {query}"
            [[plan]] = await fetch(self, explain, *args, **options)
            found.append(json.loads(plan)[0]["Plan"])
        return await fetch(self, query, *args, **options)

    monkeypatch.setattr(asyncpg.Connection, "fetch", explained)
    return found


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def read(plan: dict[str, Any]) -> float:
    """How many rows of the table were looked at."""
    return sum(
        (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        for node in nodes(plan)
        if node.get("Relation Name") == "jobs"
    )


def indexes(plan: dict[str, Any]) -> set[str]:
    assert not [node for node in nodes(plan) if node["Node Type"] == "Seq Scan"], plan
    return {node["Index Name"] for node in nodes(plan) if "Index Name" in node}


PAGES = [
    (JobFilter(), "jobs_pkey"),
    (JobFilter(state="succeeded"), "jobs_final"),
    (JobFilter(state="failed"), "jobs_final"),
    (JobFilter(state="cancelled"), "jobs_final"),
    (JobFilter(state="available"), "jobs_available"),
    (JobFilter(state="available", queue="email"), "jobs_available"),
    (JobFilter(state="scheduled"), "jobs_scheduled"),
    (JobFilter(state="waiting"), "jobs_waiting"),
    (JobFilter(name="note"), "jobs_pkey"),
    (JobFilter(queue="default"), "jobs_pkey"),
    (JobFilter(priority=51), "jobs_pkey"),
    (JobFilter(ids=[5, 500_000]), "jobs_pkey"),
]


@pytest.mark.parametrize(("where", "index"), PAGES, ids=str)
async def test_a_page_of_a_list_reads_little_more_than_it_shows(
    adapter: PostgresAdapter, plans: list[Any], where: JobFilter, index: str
) -> None:
    after, seen = None, set[int]()
    for _ in range(3):
        page = await adapter.admin.find(where, after=after, limit=LIMIT)
        assert not page.is_cut_short
        assert not seen & {job.id for job in page.jobs}
        seen |= {job.id for job in page.jobs}
        if (after := page.after) is None:
            break
    assert seen
    for plan in plans:
        assert indexes(plan) == {index}
        assert read(plan) <= LIMIT * 10, plan


@pytest.mark.parametrize("tag", ["tag 5", "tag 105", "none"])
async def test_a_tag_is_found_by_its_index(
    adapter: PostgresAdapter, plans: list[Any], tag: str
) -> None:
    page = await adapter.admin.find(JobFilter(tag=tag), limit=LIMIT)
    assert len(page.jobs) == (0 if tag == "none" else LIMIT)
    assert indexes(plans[0]) == {"jobs_tags"}
    assert read(plans[0]) <= 2_500


async def test_running_jobs_are_found_by_their_index(
    adapter: PostgresAdapter, plans: list[Any]
) -> None:
    page = await adapter.admin.find(JobFilter(state="running"), limit=LIMIT)
    assert len(page.jobs) == LIMIT
    assert indexes(plans[0]) == {"jobs_running"}
    assert read(plans[0]) <= ROWS["running"] * 2


@pytest.mark.parametrize("state", [None, "scheduled", "available", "succeeded"])
async def test_what_a_job_scheduled_is_found_by_its_index(
    adapter: PostgresAdapter, plans: list[Any], state: str | None
) -> None:
    where = JobFilter(parent=7, state=state)
    page = await adapter.admin.find(where, limit=LIMIT)
    assert len(page.jobs) == LIMIT
    assert (await adapter.admin.count(where)).jobs >= LIMIT
    for plan in plans:
        assert indexes(plan) == {"jobs_children"}
        assert read(plan) <= 1.1 * CHILDREN, plan


async def test_a_page_of_what_a_job_scheduled_reads_no_more_than_it_shows(
    adapter: PostgresAdapter, plans: list[Any]
) -> None:
    await adapter.admin.find(JobFilter(parent=7), limit=LIMIT)
    assert read(plans[0]) <= 2 * LIMIT


SEARCHES = [
    JobFilter(name="none"),
    JobFilter(queue="email"),
    JobFilter(args={"number": -1}),
    JobFilter(error="nothing"),
    JobFilter(state=["available", "failed"], name="rare"),
    JobFilter(state="scheduled", name="none"),
    JobFilter(state="available", args={"number": -1}),
    JobFilter(state="succeeded", name="none"),
]


@pytest.mark.parametrize("where", SEARCHES, ids=str)
async def test_a_search_that_no_index_helps_ends_early_says_so_and_goes_on(
    adapter: PostgresAdapter, plans: list[Any], where: JobFilter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin, "LOOKED_AT", 20_000)
    page = await adapter.admin.find(where, limit=LIMIT)
    assert page.is_cut_short
    assert page.after is not None
    following = await adapter.admin.find(where, after=page.after, limit=LIMIT)
    assert following.after != page.after
    for plan in plans:
        indexes(plan)
        assert read(plan) <= 20_000 + 2 * LIMIT, plan


async def test_a_search_finds_everything_in_the_end(adapter: PostgresAdapter) -> None:
    after, found, pages = None, 0, 0
    while True:
        page = await adapter.admin.find(JobFilter(queue="email"), after=after, limit=LIMIT)
        found += len(page.jobs)
        pages += 1
        if (after := page.after) is None:
            break
    assert found == sum((many + 49_997) // 50_000 for many in ROWS.values())
    assert pages <= 1_000_000 // admin.LOOKED_AT + 1


@pytest.mark.parametrize("state", JobState)
async def test_what_is_few_is_counted_and_what_is_many_is_estimated(
    adapter: PostgresAdapter, plans: list[Any], state: JobState
) -> None:
    count = await adapter.admin.count(JobFilter(state=state))
    many = ROWS.get(state.value, 0)
    assert count.is_exact == (many <= 10_000)
    assert count.jobs == many if count.is_exact else 0.8 * many < count.jobs < 1.2 * many
    for plan in plans:
        assert read(plan) <= 25_000


async def test_a_count_that_takes_too_long_is_an_estimate(
    adapter: PostgresAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin, "COUNT_TIMEOUT", "1ms")
    count = await adapter.admin.count(JobFilter(error="nothing"))
    assert not count.is_exact
    assert await adapter.admin.count(JobFilter(ids=[5]))  # the connection is fine


async def test_a_count_that_ends_out_of_turn_is_an_estimate_on_a_new_connection(
    adapter: PostgresAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    # When the time is over right after the statement was described, its error comes while
    # asyncpg waits for none, and then it can do nothing more with the connection.
    left: list[asyncpg.Connection] = []

    async def fail(self: Any, *_: Any, **__: Any) -> Any:
        left.append(self)
        monkeypatch.undo()
        raise asyncpg.InternalClientError("cannot switch to state 11; another operation (2) is …")

    monkeypatch.setattr(asyncpg.Connection, "fetchval", fail)
    count = await adapter.admin.count(JobFilter(state="failed"))
    assert not count.is_exact
    assert left[0].is_closed()
    assert await adapter.admin.count(JobFilter(ids=[5])) == (1, True)


async def test_an_action_on_few_of_a_million_takes_them_all(adapter: PostgresAdapter) -> None:
    where = JobFilter(state="cancelled")
    assert (await adapter.admin.retry(where)).jobs == ROWS["cancelled"]
    assert await adapter.admin.count(where) == (0, True)
