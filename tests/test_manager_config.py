"""A JobManager refuses what cannot be, when it is made."""

from __future__ import annotations

import inspect
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from asyncjobs import (
    Capabilities,
    ConfigError,
    JobManager,
    MemoryAdapter,
    PostgresAdapter,
    UnknownAdapterError,
    UnknownOptionError,
    UnknownQueueError,
    WorkerGroup,
)
from asyncjobs.manager.checks import MAX_QUEUE_NAME, MAX_QUEUE_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping

DSN = "postgresql://app:hunter2@db/app"


def manager(**options: Any) -> JobManager:
    return JobManager(**{"adapters": {"memory": MemoryAdapter()}, **options})


@pytest.fixture
def jobs() -> JobManager:
    return manager(queues=["default", "email"])


def test_one_adapter_is_enough() -> None:
    jobs = manager()

    assert jobs.queues == ("default",)
    assert jobs.workers == ()


@pytest.mark.parametrize(
    ("adapters", "problem"),
    [
        ({}, "at least one adapter"),
        ([], "storages by name"),
        (MemoryAdapter(), "storages by name"),
        (DSN, "storages by name"),
        ({"postgres": DSN}, "an adapter is a storage by name, got 'postgres': a str"),
        ({"memory": MemoryAdapter}, "got 'memory': a type"),
        ({"postgres": None}, "got 'postgres': a NoneType"),
        ({5: MemoryAdapter()}, "an adapter is a storage by name, got 5"),
    ],
    ids=lambda value: value if isinstance(value, str) and "hunter2" not in value else "",
)
def test_adapters_that_cannot_be_are_refused(adapters: Any, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        JobManager(adapters=adapters)

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("queues", "problem"),
    [
        ([], "at least one"),
        ("default", "queues must be a list of names, got the text 'default'"),
        (["email", "email"], "must be different names"),
        (["*"], "a queue is a printable name other than"),
        (["default", ""], "a queue is a printable name other than"),
        (["two\nlines"], "a queue is a printable name other than"),
        (["null\0"], "a queue is a printable name other than"),
        ([5], "a queue is a printable name other than"),
        ([None], "a queue is a printable name other than"),
        (["q" * (MAX_QUEUE_NAME + 1)], f"at most {MAX_QUEUE_NAME} bytes, got 1001"),
        (["é" * (MAX_QUEUE_NAME // 2) + "e"], f"at most {MAX_QUEUE_NAME} bytes, got 1001"),
        ([f"{n:08}" for n in range(455)], f"at most {MAX_QUEUE_NAMES} bytes as .* got 5006"),
        ([f'"{n:04}"' for n in range(455)], f"at most {MAX_QUEUE_NAMES} bytes as .* got 5006"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_queues_that_cannot_be_are_refused(queues: Any, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        manager(queues=queues)


def test_names_of_queues_may_fill_a_notification() -> None:
    names = [f"é{n:06}" for n in range(454)]

    assert manager(queues=names).queues == tuple(names)


def test_a_group_of_an_adapter_that_is_not_there_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownAdapterError, match=r"unknown adapter 'memroy' .* mean 'memory'"):
        manager(workers=[WorkerGroup(adapter="memroy")])


@pytest.mark.parametrize("queue", ["emial", ["default", "emial"], ["*", "emial"]], ids=repr)
def test_a_group_of_a_queue_that_is_not_there_is_answered_with_the_nearest(queue: Any) -> None:
    workers = [WorkerGroup(adapter="memory", queue=queue)]
    with pytest.raises(UnknownQueueError, match=r"unknown queue '(\*|emial)'"):
        manager(queues=["default", "email"], workers=workers)


def test_the_nearest_queue_is_named() -> None:
    with pytest.raises(UnknownQueueError, match="did you mean 'email'"):
        manager(queues=["email"], workers=[WorkerGroup(adapter="memory", queue="emial")])


def test_workers_are_worker_groups() -> None:
    with pytest.raises(ConfigError, match=r"workers must be WorkerGroups, got \{'adapter'"):
        manager(workers=[{"adapter": "memory"}])


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"workers": WorkerGroup(adapter="memory")}, "a list of WorkerGroups, got: WorkerGroup"),
        ({"workers": 3}, "workers must be a list of WorkerGroups, got: int"),
        ({"queues": 3}, "queues must be a list of names, got: int"),
        ({"worker_lifespan": 3}, "worker_lifespan must be a function that returns .*, got 3"),
    ],
    ids=["one group", "workers", "queues", "worker_lifespan"],
)
def test_options_of_another_kind_are_refused(options: Any, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        manager(**options)


async def test_what_is_neither_true_nor_false_is_refused(jobs: JobManager) -> None:
    no: Any = "no"
    with pytest.raises(ConfigError, match="work must be True or False, got 'no'"):
        jobs.lifespan(work=no)
    with pytest.raises(ConfigError, match="burst must be True or False, got 'no'"):
        await jobs.run_worker(0, burst=no)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"dsn": 5}, "dsn must be text, as .*, got: int"),
        ({"listen_dsn": b"postgresql://"}, "listen_dsn must be text, as .*, got: bytes"),
        ({"connect": DSN}, "connect must be options of asyncpg.connect by name, got: str"),
        ({"pool": 3}, "pool must be an asyncpg.Pool, got 3"),
        ({"listen": "no"}, "listen must be True or False, got 'no'"),
        ({"capabilities": 3}, "capabilities must be Capabilities or a dict, got 3"),
        ({"capabilities": {"notify": "no"}}, "True or False each, got notify='no'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_options_of_an_adapter_of_another_kind_are_refused(options: Any, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        PostgresAdapter(**options)

    assert "hunter2" not in str(caught.value)


def test_capabilities_of_ones_own_are_true_or_false() -> None:
    no: Any = "no"
    with pytest.raises(ConfigError, match="True or False each, got skip_locked='no'"):
        Capabilities(skip_locked=no)


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [("queue", "queues"), ("worker", "workers"), ("log", "logger"), ("adapter", "adapters")],
)
def test_a_misspelt_option_is_answered_with_the_nearest(wrong: str, nearest: str) -> None:
    with pytest.raises(UnknownOptionError, match=f"did you mean '{nearest}'"):
        manager(**{wrong: []})


def test_misspelt_adapters_are_answered_too() -> None:
    wrong: Any = {"adaptors": {"memory": MemoryAdapter()}}
    with pytest.raises(UnknownOptionError, match="did you mean 'adapters'"):
        JobManager(**wrong)


def test_a_manager_of_ones_own_may_take_more_options() -> None:
    class Ours(JobManager):
        def __init__(self, *, tenant: str, adapters: Mapping[str, Any]) -> None:
            super().__init__(adapters=adapters)
            self.tenant = tenant

    assert Ours(tenant="acme", adapters={"memory": MemoryAdapter()}).tenant == "acme"


def test_the_signature_still_names_the_options() -> None:
    names = ["adapters", "queues", "workers", "logger", "carry", "worker_lifespan", "redact"]

    assert list(inspect.signature(JobManager).parameters) == names


def test_a_scheduler_of_an_adapter_that_is_not_there_is_refused(jobs: JobManager) -> None:
    with pytest.raises(UnknownAdapterError, match="did you mean 'memory'"):
        jobs.create_scheduler(adapter="memor")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"queue": "emial"}, "unknown queue 'emial' .* did you mean 'email'"),
        ({"queue": "*"}, r"unknown queue '\*'"),
        ({"queue": None}, "unknown queue None"),
        ({"prioritty": 5}, "unknown option 'prioritty' .* did you mean 'priority'"),
        ({"wait": 5}, "unknown option 'wait'"),
        ({"priority": 32_768}, "priority must be a whole number from -32767 to 32767, got 32768"),
        ({"priority": 1.5}, "priority must be a whole number"),
        ({"priority": None}, "priority must be a whole number"),
        ({"max_attempts": 0}, "max_attempts must be a whole number from 1 to 32766, got 0"),
        ({"max_attempts": "3"}, "max_attempts must be a whole number"),
        ({"max_runtime": 0}, "max_runtime must be from 0.001 to .* s, got 0"),
        ({"max_runtime": timedelta()}, r"max_runtime must be from 0.001 to .* s, got 0\.0"),
        ({"max_runtime": "1 h"}, "max_runtime must be a number from .* s, got '1 h'"),
        ({"max_runtime": float("nan")}, "max_runtime must be from .* got nan"),
        ({"jitter": -0.1}, "jitter must be from 0 to 10, got -0.1"),
        ({"jitter": 11}, "jitter must be from 0 to 10, got 11"),
        ({"backoff": 5}, "backoff must be a function .*, got 5"),
        ({"retry_on_timeout": "no"}, "retry_on_timeout must be True or False, got 'no'"),
        ({"retry_on_timeout": None}, "retry_on_timeout must be True or False, got None"),
        ({"delete_successful": "false"}, "delete_successful must be True or False, got 'false'"),
        ({"delete_failed": "false"}, "delete_failed must be True or False, got 'false'"),
        ({"process": 0}, "process must be True or False, got 0"),
        ({"strict_order": "no"}, "strict_order must be True or False, got 'no'"),
        ({"name": ""}, "a job needs a name, got ''"),
        ({"name": 5}, "a job needs a name, got 5"),
        ({"name": "null\0"}, "a job needs a name"),
    ],
    ids=lambda value: repr(value)[:30] if isinstance(value, dict) else "",
)
def test_options_of_a_job_that_cannot_be_are_refused(
    jobs: JobManager, options: Any, problem: str
) -> None:
    async def work() -> None: ...

    with pytest.raises(ConfigError, match=problem):
        jobs.job(**options)(work)

    assert len(jobs.registry) == 0


@pytest.mark.parametrize("index", [-1, 0, 5])
async def test_a_worker_group_that_is_not_there_is_refused(jobs: JobManager, index: int) -> None:
    with pytest.raises(ConfigError, match=f"there is no worker group {index}"):
        await jobs.run_worker(index)


async def test_clearing_an_adapter_that_is_not_there_is_refused(jobs: JobManager) -> None:
    with pytest.raises(UnknownAdapterError, match="did you mean 'memory'"):
        await jobs.clear("memor")


async def test_without_any_address_the_error_says_where_one_may_be_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ASYNCJOBS_DATABASE_URL", raising=False)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    jobs = JobManager(adapters={"postgres": PostgresAdapter()})

    with pytest.raises(ConfigError, match=r"ASYNCJOBS_DATABASE_URL or DATABASE_URL.*dev"):
        await jobs.__aenter__()
