"""Rows that somebody edited into nonsense harm nobody but themselves."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from asyncjobs import PostgresAdapter, current_job
from worker.test_leases import stranger

if TYPE_CHECKING:
    from asyncjobs.storage.protocol import Storage

NEIGHBOURS = 5


@pytest.fixture
def adapter(dsn: str) -> Storage:
    return PostgresAdapter(dsn)


ODD = [
    {"lanes": 5}, {"lanes": None}, {"lanes": [5]}, {"lanes": [[1]]}, {"lanes": {"a": 1}},
    {"schedule": "x"}, {"schedule": {}}, {"schedule": {"name": 5}},
    {"before": "x"}, {"before": None}, {"before": 1e300},
    {"context": 5}, {"meta": 5}, {"watched": "x"}, {"retain": "x"}, [1],
]  # fmt: skip
DEEP = '{"meta": {"deep": ' + "[" * 5_000 + "]" * 5_000 + "}}"
"""Deeper than Python reads."""


class Edited:
    """Good jobs with a bad one in their middle."""

    def __init__(self, bench: Any, database: Any) -> None:
        self.bench, self.database = bench, database
        self.ran: list[int] = []
        self.bad = 0

        @bench.jobs.job(max_attempts=3, backoff=lambda attempt, _: 0 if attempt > 0 else 3_600)
        async def work(number: int) -> None:
            self.ran.append(number)
            _ = current_job().run_at.timestamp(), current_job().deadline, current_job().log
            if number < 0:
                raise ValueError("never works")

        self.work = work

    async def store(self, edit: str, number: int = 0) -> None:
        """Store jobs, and change one of them by *edit*, a piece of SQL."""
        numbers = [*range(1, NEIGHBOURS + 1)]
        numbers.insert(2, number)
        stored = await self.bench.later.many([self.work(number) for number in numbers])
        self.bad = stored[2].id
        await self.edit(edit)

    async def edit(self, edit: str) -> None:
        await self.database.execute(f"update asyncjobs.jobs set {edit} where id = {self.bad}")

    async def work_off(self) -> Any:
        """Run what there is, see that the neighbours ran, and return the bad one's record."""
        await self.bench.jobs.workoff()
        assert set(range(1, NEIGHBOURS + 1)) <= set(self.ran)
        counts = await self.bench.storage.counts()
        assert counts.get(("default", "running")) is None
        return await self.bench.later.get(self.bad)


@pytest.fixture
async def edited(bench: Any, database: Any) -> Edited:
    return Edited(bench, database)


@pytest.mark.parametrize(
    "args",
    [
        "null", "5", '"text"', "[]", "[1]", "{}", '{"number": "seven"}', '{"number": null}',
        '{"number": 1, "other": 2}', '{"number": 1e5000}', '{"number": {"number": 1}}',
        '{"number": ' + "[" * 3_000 + "]" * 3_000 + "}", '{"number": ' + "9" * 5_000 + "}",
        '{"number": 0.' + "1" * 5_000 + "}", '{"": 1}',
    ],
    ids=lambda args: args[:24],
)  # fmt: skip
async def test_arguments_of_another_shape_fail_their_job_at_once(edited: Edited, args: str) -> None:
    await edited.store(f"args = '{args}'")
    record = await edited.work_off()
    assert (record.state, record.attempt) == ("failed", 1)
    [error] = json.loads(record.errors)
    assert error["error"] == "StoredArgumentsError"
    assert len(error["message"]) <= 3_000


@pytest.mark.parametrize("name", ["nobody", "", "work ", "x" * 100_000, "\n", "日本"], ids=range(6))
async def test_a_name_that_nobody_knows_waits_for_somebody_who_does(
    edited: Edited, name: str
) -> None:
    await edited.store(f"name = '{name}'")
    record = await edited.work_off()
    assert (record.state, record.attempt, record.name) == ("scheduled", 0, name)


@pytest.mark.parametrize("attempt", [-32_768, -1, 2, 3, 32_766, 32_767])
@pytest.mark.parametrize("number", [0, -1], ids=["works", "fails"])
async def test_an_attempt_out_of_range_stops_nobody(
    edited: Edited, attempt: int, number: int
) -> None:
    await edited.store(f"attempt = {attempt}", number)
    record = await edited.work_off()
    if attempt >= 3:
        assert (record.state, number in edited.ran) == ("failed", False)
    elif number == 0:
        assert (record.state, record.attempt) == ("succeeded", attempt + 1)
    else:
        assert record.attempt > attempt
        assert json.loads(record.errors)[0]["attempt"] == attempt + 1


@pytest.mark.parametrize(
    "errors", ["null", "5", '"text"', "{}", '{"attempt": 1}', "[]", "[[]]", "[null, 5]"]
)
async def test_errors_that_are_no_list_become_one(edited: Edited, errors: str) -> None:
    await edited.store(f"errors = '{errors}'", number=-1)
    record = await edited.work_off()
    assert (record.state, record.attempt) == ("failed", 3)
    before = json.loads(errors)
    kept = before if isinstance(before, list) else [before]
    found = json.loads(record.errors)
    assert found[: len(kept)] == kept
    assert [error["message"] for error in found[len(kept) :]] == ["never works"] * 3


@pytest.mark.parametrize("errors", ["null", '{"attempt": 1}', "[]"])
async def test_such_errors_do_not_stop_a_rescue(edited: Edited, errors: str) -> None:
    await edited.store(f"errors = '{errors}'")
    silent = await edited.bench.storage.register(stranger(lease=3_600))
    assert len(await edited.bench.storage.claim(silent, ["default"], 50)) == NEIGHBOURS + 1
    rescued = await edited.bench.storage.rescue([silent])
    assert len(rescued) == NEIGHBOURS + 1
    record = await edited.work_off()
    assert record.state == "succeeded"
    assert json.loads(record.errors)[-1]["error"] == "WorkerLost"


MOMENTS = ["infinity", "-infinity", "294276-12-31", "4000-01-01 BC", "0001-01-01 BC", "10000-01-01"]


@pytest.mark.parametrize("moment", MOMENTS)
async def test_moments_that_python_does_not_know_stop_nobody(edited: Edited, moment: str) -> None:
    await edited.store(f"run_at = '{moment}', created_at = '{moment}'")
    record = await edited.work_off()
    assert record.state == "succeeded"
    assert 2 <= record.run_at.year <= 9998
    assert record.run_at.tzinfo is not None
    await edited.edit(f"attempted_at = '{moment}', finished_at = '{moment}'")
    record = await edited.bench.record(edited.bad)
    assert {record.attempted_at.year, record.finished_at.year} <= {2, 9998, 1, 9999}


@pytest.mark.parametrize("moment", MOMENTS)
async def test_jobs_scheduled_for_such_moments_do_not_stop_the_others(
    edited: Edited, moment: str
) -> None:
    await edited.store(f"state = 'scheduled', run_at = '{moment}'")
    stored = await edited.bench.later(edited.work(9), wait=0.05)
    async with edited.bench.working():
        await edited.bench.until(stored.id, "succeeded")
        due = moment.startswith("-") or moment.endswith("BC")
        await edited.bench.until(edited.bad, "succeeded" if due else "scheduled")
    assert (await edited.bench.storage.promote(10)).count == 0


async def test_a_state_changed_by_hand_is_believed(edited: Edited) -> None:
    await edited.store("state = 'failed', priority = -32768")
    assert (await edited.work_off()).state == "failed"
    await edited.edit("state = 'available', attempt = 0")
    assert (await edited.work_off()).state == "succeeded"
    assert edited.ran.count(0) == 1


async def test_a_job_of_a_worker_that_does_not_exist_is_rescued(edited: Edited) -> None:
    await edited.store("state = 'running', attempt = 1, locked_by = 4711")
    [rescued] = await edited.bench.storage.rescue([])
    assert (rescued.id, rescued.worker, rescued.attempt) == (edited.bad, "number 4711", 1)
    assert (await edited.work_off()).state == "succeeded"


async def test_jobs_of_workers_that_were_removed_by_hand_are_rescued(edited: Edited) -> None:
    await edited.store("priority = 0")
    gone = await edited.bench.storage.register(stranger(lease=3_600))
    await edited.bench.storage.claim(gone, ["default"], 50)
    await edited.database.execute("delete from asyncjobs.workers")
    assert len(await edited.bench.storage.rescue([])) == NEIGHBOURS + 1
    assert (await edited.work_off()).state == "succeeded"


@pytest.mark.parametrize("extra", ["null", "5", "[]", '{"meta": 5}', "{}"])
async def test_nonsense_in_extra_stops_nobody(edited: Edited, extra: str) -> None:
    await edited.store(f"extra = '{extra}'")
    assert (await edited.work_off()).state in ("succeeded", "failed")


async def test_a_running_job_that_was_edited_goes_back_to_the_queue(
    make_bench: Any, database: Any
) -> None:
    bench = await make_bench(heartbeat_interval=0.1, delete_successful_jobs=False)

    @bench.jobs.job
    async def vandal() -> None:
        if current_job().attempt == 1:
            await database.execute(
                "update asyncjobs.jobs set errors = '{}', attempt = 7, run_at = 'infinity'"
            )

    stored = await bench.later(vandal())
    async with bench.working():
        record = await bench.until(stored.id, "succeeded")
    assert record.attempt == 8


@pytest.mark.parametrize("extra", [*map(json.dumps, ODD), DEEP], ids=lambda text: text[:30])
async def test_a_job_whose_extra_makes_no_sense_ends_like_any(
    make_bench: Any, database: Any, extra: str
) -> None:
    bench = await make_bench(delete_successful_jobs=False)
    edited = Edited(bench, database)
    await edited.store(f"extra = '{extra}'")
    record = await edited.work_off()
    assert (record.state, record.attempt) == ("succeeded", 1)
    assert not {line["event"] for line in bench.log} & {"job.unloggable", "worker.failed"}


async def test_a_job_that_was_retried_and_expires_is_dropped_as_any(
    bench: Any, database: Any
) -> None:
    @bench.jobs.job(max_attempts=1)
    async def fail() -> None:
        raise ValueError

    job = await bench.later(fail(), expires=3_600)
    await bench.jobs.workoff()
    assert await bench.later.retry(job.id)
    await database.execute("update asyncjobs.jobs set expires_at = now() - interval '1 s'")
    await bench.jobs.workoff()
    record = await bench.record(job.id)
    assert record.state == "cancelled"
    assert json.loads(record.errors)[-1]["error"] == "ExpiredError"
