"""The commands of those who operate an application, on a real database."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

if TYPE_CHECKING:
    from shell import Done, Shell

APP = """
from datetime import timedelta

from asyncjobs import JobManager, PostgresAdapter, WorkerGroup

jobs = JobManager(
    adapters={{"main": PostgresAdapter("{dsn}")}},
    queues=["default", "email"],
    workers=[WorkerGroup(adapter="main", delete_successful_jobs=False)],
)
later = jobs.create_scheduler(adapter="main")


@jobs.job(queue="email", priority=10)
async def send(user_id: int, note: str = "") -> None: ...


@jobs.job(max_attempts=1)
async def fail(text: str = "no connection") -> None:
    raise ConnectionError(text)


@jobs.job(every=timedelta(hours=1))
async def tidy() -> None: ...


async def store(*calls, **options) -> None:
    async with jobs:
        await later.many(calls, **options)


async def workoff() -> None:
    async with jobs:
        await jobs.workoff()
"""


@pytest.fixture
def app(shell: Shell, dsn: str) -> dict[str, Any]:
    """The names of an app that commands of *shell* find."""
    shell.write("pyproject.toml", '[tool.asyncjobs]\napp = "operated_app:jobs"\n')
    shell.write("operated_app.py", APP.format(dsn=dsn))
    scope: dict[str, Any] = {"__name__": "stored"}
    exec(shell.read("operated_app.py"), scope)
    return scope


def store(app: dict[str, Any], *calls: Any, **options: Any) -> None:
    asyncio.run(app["store"](*calls, **options))


def as_json(done: Done) -> Any:
    assert done.err == ""
    return json.loads(done.out)


def ids(done: Done) -> list[int]:
    return [job["id"] for job in as_json(done)]


def test_jobs_are_listed_by_what_the_search_of_the_dashboard_takes(
    shell: Shell, app: dict[str, Any]
) -> None:
    store(app, app["send"](7, "a b"), app["send"](8), tags=["vip"])
    store(app, app["fail"]())
    asyncio.run(app["workoff"]())
    assert ids(shell.run("list", "--json")) == [3, 2, 1]
    assert ids(shell.run("list", "--json", "state:failed")) == [3]
    assert ids(shell.run("list", "--json", "name:send", "args.user_id:7")) == [1]
    assert ids(shell.run("list", "--json", "args.note:a b")) == [1]
    assert ids(shell.run("list", "--json", "error:no connection")) == [3]
    assert ids(shell.run("list", "--json", "tag:vip", "--limit", "1")) == [2]
    shown = shell.run("list", "--limit", "2").out
    assert "ConnectionError: no connection" in shown
    assert "... of 3; --limit shows more" in shown
    assert "no such jobs" in shell.run("list", "state:cancelled").out


def test_a_search_that_makes_no_sense_is_refused(shell: Shell, app: dict[str, Any]) -> None:
    done = shell.run("list", "colour:red")
    assert done.code == 2
    assert "There is no colour: to search by" in done.err
    done = shell.run("delete", "state:lost", "--yes")
    assert done.code == 2
    assert "There is no state 'lost'" in done.err


def test_one_job_is_shown_with_its_errors_and_nothing_that_a_terminal_obeys(
    shell: Shell, app: dict[str, Any]
) -> None:
    store(app, app["fail"]("bad \x1b[31m news"), tags=["vip"])
    asyncio.run(app["workoff"]())
    shown = shell.run("show", "1")
    assert shown.code == 0
    assert "\x1b[31m" not in shown.out
    assert "bad \\x1b[31m news" in shown.out
    assert "fail #1" in shown.out
    assert ", in fail\n" in shown.out
    told = as_json(shell.run("show", "1", "--json"))
    assert (told["name"], told["state"], told["tags"]) == ("fail", "failed", ["vip"])
    assert told["args"] == {"text": "bad \x1b[31m news"}
    assert told["errors"][0]["error"] == "ConnectionError"
    missing = shell.run("show", "99")
    assert missing.code == 1
    assert "there is no job 99" in missing.out


def test_jobs_that_cannot_be_shown_as_they_are_hide_no_others(
    shell: Shell, app: dict[str, Any], dsn: str
) -> None:
    async def spoil() -> None:
        connection = await asyncpg.connect(dsn)
        await connection.execute(
            "update asyncjobs.jobs set args = '{\"x\": 1e5000}', tags = array[null], errors = $1",
            '[{"attempt": 1e5000, "at": "9999-12-31T23:59:59-12:00"}, 7]',
        )
        await connection.close()

    store(app, app["send"](7))
    asyncio.run(spoil())
    store(app, app["send"](8))
    assert ids(shell.run("list", "--json")) == [2, 1]
    assert shell.run("list").code == 0
    shown = shell.run("show", "1")
    assert (shown.code, shown.err) == (0, "")
    assert "[an integer of 5001 digits]" in shown.out
    assert shell.run("delete", "1", "--yes").code == 0
    assert ids(shell.run("list", "--json")) == [2]


def test_many_are_counted_and_asked_about_before_anything_is_done(
    shell: Shell, app: dict[str, Any]
) -> None:
    store(app, *(app["send"](n) for n in range(3)), wait=60)
    assert "3 jobs would be meant" in shell.run("cancel", "name:send", "--dry-run").out
    assert "0 jobs would be meant" in shell.run("cancel", "send", "name:f*", "--dry-run").out
    unasked = shell.run("cancel", "name:send")
    assert unasked.code == 2
    assert "Cancel 3 jobs? There is no terminal to ask on: add --yes" in unasked.err
    assert ids(shell.run("list", "--json", "state:scheduled")) != []
    assert shell.run("cancel", "name:send", "--yes").out == "cancel: 3 jobs\n"
    assert as_json(shell.run("retry", "1", "--json")) == {"jobs": 1}
    assert shell.run("reschedule", "1", "--wait", "3600").out == "reschedule: 1 job\n"
    [job] = as_json(shell.run("list", "1", "--json"))
    assert job["state"] == "scheduled"
    assert shell.run("delete", "1", "2").out == "delete: 2 jobs\n"
    nothing = shell.run("delete", "1")
    assert (nothing.code, nothing.out) == (1, "delete: 0 jobs\n")
    assert ids(shell.run("list", "--json")) == [3]


@pytest.mark.parametrize("verb", ["retry", "cancel", "delete"])
def test_nothing_is_done_to_all_jobs_by_mistake(
    shell: Shell, app: dict[str, Any], verb: str
) -> None:
    store(app, app["send"](1), wait=60)
    for query in ([], [""], ["", ""]):  # as "$ID" is when nothing is in it
        done = shell.run(verb, *query, "--yes")
        assert (done.code, done.out) == (2, "")
        assert "say which jobs" in done.err
        assert shell.run(verb, *query, "--dry-run").code == 2
    [job] = as_json(shell.run("list", "--json"))
    assert job["state"] == "scheduled"


def test_what_names_hold_does_not_reach_the_terminal(
    shell: Shell, app: dict[str, Any], dsn: str
) -> None:
    name = "send\x1b[31m"
    store(app, app["send"](1))

    async def rename() -> None:
        connection = await asyncpg.connect(dsn)
        await connection.execute("update asyncjobs.jobs set name = $1, queue = $1", name)
        await connection.close()

    asyncio.run(rename())
    for command in (["status"], ["top"], ["list"], ["show", "1"]):
        done = shell.run(*command)
        assert "send\\x1b[31m" in done.out, command
        assert "\x1b" not in done.out, command


def test_a_time_needs_to_be_one(shell: Shell, app: dict[str, Any]) -> None:
    assert "give either --wait or --at" in shell.run("reschedule", "1").err
    assert "--at must be a moment" in shell.run("reschedule", "1", "--at", "soon").err
    assert "--at needs a zone" in shell.run("reschedule", "1", "--at", "2031-01-31T09:00").err
    done = shell.run("reschedule", "1", "--at", "2031-01-31")
    assert "--at needs a zone, as in 2031-01-31T00:00+00:00" in done.err
    at = "2031-01-31T09:00+01:00"
    for verb in (["reschedule", "1"], ["enqueue", "send", "[1]"]):
        for words, problem in {
            ("--at", at, "--wait", "3"): f"give either --wait or --at, not both: got 3 and {at}",
            ("--wait", "1e12"): "--wait must be from 0 to 31536000000 s, got 1e+12 s",
            ("--at", "2031-01-31+01:00"): "--at must be a moment as 2031-01-31T09:00+01:00, got",
            ("--at", "9999-12-31T23:00+00:00"): "--at must be in a year from 2 to 9998, got 9999",
        }.items():
            done = shell.run(*verb, *words)
            assert (done.code, problem in done.err) == (2, True), done.err


def test_a_job_from_the_shell_is_checked_as_by_the_app(shell: Shell, app: dict[str, Any]) -> None:
    stored = shell.run("enqueue", "send", '{"user_id": 7}', "--wait", "60", "--tag", "vip")
    assert stored.out == "job 1: scheduled\n"
    told = as_json(shell.run("enqueue", "send", "[8]", "--unique", "user:8", "--json"))
    assert told == {"id": 2, "state": "available", "is_new": True}
    again = shell.run("enqueue", "send", "[8]", "--unique", "user:8")
    assert again.out == "job 2, which existed already: available\n"
    [job] = as_json(shell.run("list", "1", "--json"))
    assert (job["args"], job["queue"], job["tags"]) == ({"user_id": 7}, "email", ["vip"])
    for arguments, problem in {
        '{"user_id": "seven"}': "user_id",
        "{}": "user_id",
        "[1, 2, 3]": "too many",
        '{"user_id": 1, "nota": "x"}': "nota",
        "{": "must be JSON",
        "7": "must be a JSON object or list",
    }.items():
        refused = shell.run("enqueue", "send", arguments)
        assert refused.code == 2, arguments
        assert problem in refused.err, arguments
    unknown = shell.run("enqueue", "sent")
    assert unknown.code != 0
    assert "send" in unknown.err


def test_a_queue_is_paused_and_resumed(shell: Shell, app: dict[str, Any]) -> None:
    assert shell.run("pause", "--queue", "email").out == "paused\n"
    again = shell.run("pause", "--queue", "email")
    assert (again.code, again.out) == (1, "it was paused already\n")
    store(app, app["send"](1))
    asyncio.run(app["workoff"]())
    assert "paused: queue email" in shell.run("status").out
    assert ids(shell.run("list", "state:available", "--json")) == [1]
    assert shell.run("resume", "--queue", "email").out == "resumed\n"
    again = shell.run("resume", "--queue", "email")
    assert (again.code, again.out) == (1, "it was not paused\n")
    asyncio.run(app["workoff"]())
    assert ids(shell.run("list", "state:succeeded", "--json")) == [1]
    for verb in ("pause", "resume"):
        for words in ([], ["--queue", "email", "--job", "send"]):
            done = shell.run(verb, *words)
            assert (done.code, done.err) == (2, "error: give one of --queue, --job and --key\n")
    assert "emial" in shell.run("pause", "--queue", "emial").err


def test_status_says_by_its_code_whether_all_is_well(shell: Shell, app: dict[str, Any]) -> None:
    done = shell.run("status")
    assert done.code == 1
    assert "No worker runs." in done.out
    told = json.loads(shell.run("status", "--json").out)
    assert not told["well"]
    assert told["findings"][0]["what"] == "No worker runs."
    assert told["maintenance"] == told["pauses"] == []
    assert shell.run("workers").code == 1
    assert as_json(shell.run("workers", "--json")) == []


def test_workers_are_listed_while_they_run(shell: Shell, app: dict[str, Any]) -> None:
    async def look() -> tuple[Done, Done]:
        stop = asyncio.Event()
        async with app["jobs"] as jobs:
            working = asyncio.create_task(jobs.work(stop))
            while not await jobs.adapters["main"].overview.workers():
                await asyncio.sleep(0.01)
            # The command has a loop of its own.
            listed = await asyncio.to_thread(shell.run, "workers", "--json")
            well = await asyncio.to_thread(shell.run, "status")
            stop.set()
            await working
        return listed, well

    listed, well = asyncio.run(look())
    [worker] = json.loads(listed.out)
    assert (worker["queues"], worker["running"]) == (["default", "email"], 0)
    assert (listed.code, well.code) == (0, 0)


def test_workers_are_quieted_resumed_and_stopped_by_id(shell: Shell, app: dict[str, Any]) -> None:
    async def run(*words: str) -> Done:
        return await asyncio.to_thread(shell.run, "workers", *words)

    async def wish() -> None:
        async with app["jobs"] as jobs:
            working = asyncio.create_task(jobs.work())
            later = app["later"]
            while not (found := await later.workers.list()):
                await asyncio.sleep(0.01)
            worker = str(found[0].id)
            done = await run("--quiet", worker)
            assert (done.code, done.out) == (0, f"told to be quiet: {worker}\n")
            [told] = json.loads((await run("--json")).out)
            assert (told["state"], told["concurrency"]) == ("quiet", 10)
            assert " quiet" in (await run()).out
            done = await run("--quiet", worker)
            assert (done.code, done.out) == (1, "told to be quiet: nobody anew\n")
            done = await run("--resume", worker, "--resume", worker, "--json")
            assert (done.code, json.loads(done.out)) == (0, {"changed": [int(worker)]})
            done = await run("--stop", worker)
            assert (done.code, done.out) == (0, f"told to stop: {worker}\n")
            await working
            done = await run("--stop", worker)
            assert (done.code, f"no worker {worker}" in done.err) == (1, True)

    asyncio.run(wish())
    done = shell.run("workers", "--stop", "1", "--quiet", "1")
    assert (done.code, "give one of --quiet" in done.err) == (2, True)


def test_schedules_are_listed_switched_and_run(shell: Shell, app: dict[str, Any]) -> None:
    asyncio.run(app["workoff"]())  # a worker stores what the code declares
    [tidy] = as_json(shell.run("schedules", "--json"))
    assert (tidy["name"], tidy["enabled"]) == ("tidy", True)
    assert "every 1:00:00" in shell.run("schedules").out
    assert as_json(shell.run("schedules", "--off", "tidy", "--json"))[0]["enabled"] is False
    assert shell.run("schedules", "--off", "tidy").code == 1
    assert " off" in shell.run("schedules").out
    assert as_json(shell.run("schedules", "--on", "tidy", "--json"))[0]["enabled"] is True
    assert shell.run("schedules", "--on", "tidy").code == 1
    before = len(as_json(shell.run("list", "--json")))
    assert shell.run("schedules", "--run", "tidy").out.startswith("job ")
    assert len(as_json(shell.run("list", "--json"))) == before + 1
    unknown = shell.run("schedules", "--run", "tiddy")
    assert unknown.code != 0
    assert "tidy" in unknown.err
    assert "give one of" in shell.run("schedules", "--on", "tidy", "--off", "tidy").err
