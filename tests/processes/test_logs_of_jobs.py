"""The log of a real worker: whatever is written inside a job says which job that was."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sample_project import SampleProject

APP = """
import logging

import structlog

from asyncjobs import JobManager, PostgresAdapter, WorkerGroup, current_job

jobs = JobManager(
    adapters={"postgres": PostgresAdapter()},
    workers=[WorkerGroup(adapter="postgres", name="main")],
    carry=["request_id"],
)
later = jobs.create_scheduler(adapter="postgres")


def write(where):
    logging.getLogger("shop").warning("stdlib in %s", where)
    structlog.get_logger().warning("structlog in " + where)
    current_job().log.warning("own in " + where)


@jobs.job
async def in_coroutine(password):
    write("coroutine")


@jobs.job
def in_thread(password):
    write("thread")


@jobs.job(process=True)
def in_process(password):
    write("process")
    for _ in range(200):
        print("noise " * 1_000)  # more than a pipe holds that nobody reads


async def store():
    async with jobs:
        with structlog.contextvars.bound_contextvars(request_id="r-7"):
            for job in (in_coroutine, in_thread, in_process):
                await later(job("hunter2"))


if __name__ == "__main__":
    import asyncio

    asyncio.run(store())
"""


def test_lines_of_all_kinds_of_jobs_say_which_job(project: SampleProject) -> None:
    project.write_app(APP)
    assert project.run("sample").returncode == 0
    done = project.asyncjobs("--log-format", "json", "--set", "log_arguments=true", "workoff")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    for number, where in enumerate(("coroutine", "thread", "process"), 1):
        facts = {
            "job": f"in_{where}", "id": number, "queue": "default", "attempt": 1,
            "worker": "main.0.0", "request_id": "r-7",
        }  # fmt: skip
        for by in ("stdlib", "structlog", "own"):
            line = only(lines, f"{by} in {where}")
            assert {name: line.get(name) for name in facts} == facts, line
            assert line["level"] == "warning"
        [ended] = [
            line for line in lines if (line["event"], line.get("id")) == ("job.succeeded", number)
        ]
        assert ended["args"] == {"password": "[hidden]"}
    assert "hunter2" not in done.stderr + done.stdout


def only(lines: list[dict[str, Any]], event: str) -> dict[str, Any]:
    [line] = [line for line in lines if line["event"] == event]
    return line
