"""The source that ``init`` and ``generate`` write."""

from string import Template

APP = Template('''\
"""The background jobs of this app."""

from asyncjobs import JobManager, PostgresAdapter, WorkerGroup

jobs = JobManager(
    # The database's address: ASYNCJOBS_DATABASE_URL or DATABASE_URL, or give it here.
    adapters={"postgres": PostgresAdapter()},
    queues=["default"],
    workers=[WorkerGroup(adapter="postgres", queue="*", count=1, concurrency=10)],
)
later = jobs.create_scheduler(adapter="postgres")


@jobs.job()
async def say_hello(name: str) -> str:
    """Show that it works: schedule it with `await later(say_hello("Ada"))`."""
    return f"Hello, {name}!"
''')

JOB = Template('''\
"""The job $name."""

from $module import $attribute


@$attribute.job($options)
async def $name(subject: str) -> str:
    """Write here what the job does, and below how.

    Schedule it with `await later($name("Ada"))`.
    """
    return f"$name: {subject}"
''')

TEST = Template('''\
"""Tests of the job $name. They need no database: the job runs here and now."""

import asyncio

from $job_module import $name


def test_${name}_does_its_work() -> None:
    assert asyncio.run($name.perform("Ada")) == "$name: Ada"
''')

CONFTEST = '''\
"""Its place here lets pytest import the app from this folder."""
'''
