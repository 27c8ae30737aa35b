"""What `later` takes comes back equal, on both storages; everything else is refused by name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from asyncjobs import ArgumentError, JobManager, MemoryAdapter, PostgresAdapter
from asyncjobs.testing.contract.steps import a_worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from asyncjobs.storage.protocol import Storage
    from asyncjobs.types import ClaimedJob

MANY = settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

# Any text of Python's, with what PostgreSQL does not store and what JSON has to escape.
texts = st.text(st.characters(codec=None), max_size=20) | st.sampled_from(
    ["\0", "\ud800", "\\u0000", "NaN", "Infinity", "1e23", '"', "\\", "\u2028", "🙂", "__proto__"]
)
numbers = (
    st.booleans()
    | st.integers()
    | st.integers(-(10**400), 10**400)
    | st.floats()
    | st.sampled_from([1e16, 1e22, 1e23, 1e308, 5e-324, -0.0, 2**63, 2**64, 10**4_000])
)
json_like = st.recursive(
    st.none() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


class Scheduling:
    """An open manager with one job, and a worker that claims what it schedules."""

    def __init__(self, jobs: JobManager, storage: Storage, worker: int) -> None:
        self.later = jobs.create_scheduler(adapter="main")
        self._storage, self._worker = storage, worker

        @jobs.job
        async def loose(value: Any) -> None: ...
        @jobs.job
        async def precise(value: int | float | str | list[float]) -> None: ...

        self.loose, self.precise = loose, precise

    async def claim(self) -> list[ClaimedJob]:
        return await self._storage.claim(self._worker, ["default"], 1_000)

    async def check(self, job: Any, value: Any) -> None:
        """Store *value*, and compare what a worker gets; or see it refused by name."""
        if not is_fine(value):
            with pytest.raises(ArgumentError, match="argument 'value'") as caught:
                await self.later(job(value))
            assert len(str(caught.value)) < 1_000
            return
        await self.later(job(value))
        [row] = await self.claim()
        arguments = job.codec.decode(row.args)
        assert same(arguments, {"value": value})


@pytest.fixture(params=["memory", "postgres"])
async def scheduling(request: pytest.FixtureRequest) -> AsyncIterator[Scheduling]:
    is_memory = request.param == "memory"
    storage: Storage = (
        MemoryAdapter() if is_memory else PostgresAdapter(request.getfixturevalue("dsn"))
    )
    jobs = JobManager(adapters={"main": storage})
    async with jobs:
        yield Scheduling(jobs, storage, await storage.register(a_worker()))


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal, down to the types inside."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def is_fine(value: Any) -> bool:
    """Whether JSON and jsonb hold *value*, so that it must not be refused."""
    if isinstance(value, dict):
        return all(is_fine(part) for part in (*value, *value.values()))
    if isinstance(value, list):
        return all(map(is_fine, value))
    if isinstance(value, str):
        return "\0" not in value and value.encode(errors="replace").decode() == value
    if isinstance(value, float):
        return value - value == 0
    return not isinstance(value, int) or abs(value) < 10**4_200


@MANY
@given(value=json_like)
@example(value={"": [1e23, 10**23, 1e16, "1e23", '\\"1e23']})
@example(value=[0.1, -0.0, 1.0, 5e-324, 1.7976931348623157e308])
async def test_any_json_comes_back_equal(scheduling: Scheduling, value: Any) -> None:
    await scheduling.check(scheduling.loose, value)


@MANY
@given(value=numbers | st.lists(st.floats(allow_nan=False, allow_infinity=False)) | texts)
async def test_numbers_come_back_as_the_same_kind(scheduling: Scheduling, value: Any) -> None:
    if not isinstance(value, bool):
        await scheduling.check(scheduling.precise, value)


@pytest.mark.parametrize("size", [10_000_000])
async def test_ten_megabytes_come_back_equal(scheduling: Scheduling, size: int) -> None:
    await scheduling.check(scheduling.loose, "ü\\" * (size // 3))
    await scheduling.check(scheduling.loose, {"numbers": [1e23] * (size // 25)})


def nested(depth: int) -> Any:
    value: Any = "deep"
    for _ in range(depth):
        value = [value]
    return value


async def test_some_nesting_comes_back_equal(scheduling: Scheduling) -> None:
    await scheduling.check(scheduling.loose, nested(50))


@pytest.mark.parametrize("depth", [300, 5_000, 100_000])
async def test_deep_nesting_is_refused(scheduling: Scheduling, depth: int) -> None:
    with pytest.raises(ArgumentError, match="argument 'value'"):
        await scheduling.later(scheduling.loose(nested(depth)))


async def test_a_value_inside_itself_is_refused(scheduling: Scheduling) -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(ArgumentError, match="argument 'value'"):
        await scheduling.later(scheduling.loose(value))


async def test_what_is_refused_costs_no_neighbour(scheduling: Scheduling) -> None:
    import asyncio

    values: list[Any] = [1, "\0", 2, float("nan"), 3, "\ud800", 4, 10**5_000, 5]
    calls = [scheduling.later(scheduling.loose(value)) for value in values]
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(one, ArgumentError) for one in found] == [False, True] * 4 + [False]
    rows = await scheduling.claim()
    assert [json.loads(row.args)["value"] for row in rows] == [1, 2, 3, 4, 5]


ODD_NAMES = ["'\"", "\\u0000", "line\nbreak", "日本 🙂", " ", "%s {} $1", "x" * 5_000]


@pytest.mark.parametrize("name", ODD_NAMES, ids=range(len(ODD_NAMES)))
async def test_names_may_hold_anything_that_can_be_stored(
    scheduling: Scheduling, name: str
) -> None:
    jobs = JobManager(adapters={"main": scheduling._storage})

    @jobs.job(name=name)
    async def work() -> None: ...

    await jobs.create_scheduler(adapter="main")(work())
    [row] = await scheduling.claim()
    assert row.name == name


async def test_meta_comes_back_equal(scheduling: Scheduling) -> None:
    meta = {"big": 10**30, "float": 1e23, "text": "1e23 \\u0000", "": [None, True, 1.0]}
    await scheduling.later(scheduling.loose(1), meta=meta)
    [row] = await scheduling.claim()
    assert row.extra is not None
    assert same(json.loads(row.extra)["meta"], meta)
