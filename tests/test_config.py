"""WorkerGroup refuses what cannot be, and says what can."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import math
import pickle
from datetime import timedelta
from typing import Any

import pytest

from asyncjobs import ConfigError, UnknownOptionError, WorkerGroup

BOUNDS = [
    ("count", 0, 1_000),
    ("concurrency", 1, 10_000),
    ("max_attempts", 1, 32_766),
    ("max_runtime", 0.001, 315_360_000),
    ("max_result", 4, 100_000_000),
    ("sleep_delay", 0.01, 3_600),
    ("heartbeat_interval", 0.05, 10),  # at a lease of 30 s
    ("lease", 15, 86_400),  # at heartbeats every 5 s
    ("shutdown_timeout", 0, 86_400),
]
WHOLE = ("count", "concurrency", "max_attempts", "max_result")

each_bound = pytest.mark.parametrize(("option", "least", "most"), BOUNDS)
each_option = pytest.mark.parametrize("option", [option for option, _, _ in BOUNDS])


def group(**options: Any) -> WorkerGroup:
    return WorkerGroup(adapter="postgres", **options)


def test_a_group_needs_nothing_but_its_adapter() -> None:
    assert dataclasses.asdict(group()) == {
        "adapter": "postgres",
        "name": None,
        "queue": "*",
        "count": 1,
        "concurrency": 10,
        "threads": None,
        "processes": None,
        "max_attempts": 24,
        "max_runtime": 14_400,
        "delete_failed_jobs": False,
        "delete_successful_jobs": True,
        "retain": None,
        "max_result": 1_000_000,
        "sleep_delay": 5,
        "lease": 30,
        "heartbeat_interval": 5,
        "shutdown_timeout": 30,
        "kill_stuck": False,
        "mend_tables": False,
        "log_jobs": "auto",
        "log_arguments": False,
    }


@each_bound
def test_the_bounds_themselves_are_allowed(option: str, least: float, most: float) -> None:
    for value in (least, most):
        assert getattr(group(**{option: value}), option) == value


@each_bound
def test_beyond_a_bound_the_error_has_the_bound_and_the_value(
    option: str, least: float, most: float
) -> None:
    step = 1 if option in WHOLE else 0.0001
    bad = [least - step] if option == "heartbeat_interval" else [least - step, most + step]
    for value in bad:
        with pytest.raises(ConfigError) as caught:
            group(**{option: value})

        text = str(caught.value)
        assert text.startswith(f"{option} must be ")
        assert f"from {least:g} " in text or f"from {least} " in text
        assert text.endswith(f"got {value!r}")


@each_option
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None, "5", True, [5]], ids=repr)
def test_what_is_no_plain_number_is_refused(option: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"^{option} must be .*, got "):
        group(**{option: value})


@pytest.mark.parametrize("option", WHOLE)
def test_a_number_of_things_is_whole(option: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{option} must be a whole number .*, got 2\.5$"):
        group(**{option: 2.5})


def test_a_lease_bears_two_lost_heartbeats() -> None:
    assert group(heartbeat_interval=1, lease=3).lease == 3
    with pytest.raises(ConfigError) as caught:
        group(heartbeat_interval=1, lease=2.9)

    assert str(caught.value) == (
        "lease must be from 3 to 86400 s (three times heartbeat_interval, 1 s, is the least), "
        "got 2.9"
    )


def test_heartbeats_too_far_apart_for_the_lease_that_nobody_gave_are_told_of_by_name() -> None:
    with pytest.raises(ConfigError) as caught:
        group(heartbeat_interval=20)

    assert str(caught.value) == (
        "heartbeat_interval must be from 0.05 to 10 s, a third of the lease (30 s by default), "
        "got 20"
    )


def test_a_max_runtime_may_be_a_timedelta() -> None:
    hour = timedelta(hours=1)

    assert group(max_runtime=hour).max_runtime == hour
    with pytest.raises(ConfigError, match=r"^max_runtime must be from 0.001 to .* s, got 0\.0$"):
        group(max_runtime=timedelta())


@pytest.mark.parametrize(
    "option", ["sleep_delay", "lease", "heartbeat_interval", "shutdown_timeout"]
)
def test_a_timedelta_for_another_duration_is_answered_with_the_kind(option: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{option} must be a number from .* s.*, got datetime"):
        group(**{option: timedelta(seconds=20)})


FLAGS = [field.name for field in dataclasses.fields(WorkerGroup) if field.type == "bool"]


@pytest.mark.parametrize("option", FLAGS)
@pytest.mark.parametrize("value", [None, 1, "false"], ids=repr)
def test_what_is_neither_true_nor_false_is_refused(option: str, value: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        group(**{option: value})

    assert str(caught.value) == f"{option} must be True or False, got {value!r}"


@pytest.mark.parametrize("queue", ["", [], (), None, 5, b"email"], ids=repr)
def test_a_queue_that_names_nothing_is_refused(queue: Any) -> None:
    with pytest.raises(ConfigError, match=r'queue must be "\*", a name or a list of names, got'):
        group(queue=queue)


@pytest.mark.parametrize(
    ("queue", "found"),
    [
        ("*", ["default", "email"]),
        ("email", ["email"]),
        (["email", "default"], ["email", "default"]),
        (("email", "email"), ["email"]),
    ],
    ids=repr,
)
def test_a_group_works_the_queues_that_it_names(queue: Any, found: list[str]) -> None:
    assert group(queue=queue).queues(["default", "email"]) == found


def test_a_group_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        group().concurrency = 5  # type: ignore[misc]


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [
        ("concurency", "concurrency"),
        ("queues", "queue"),
        ("max_attempt", "max_attempts"),
        ("shutdown_time", "shutdown_timeout"),
        ("heartbeat", "heartbeat_interval"),
    ],
)
def test_a_misspelt_option_is_answered_with_the_nearest(wrong: str, nearest: str) -> None:
    with pytest.raises(UnknownOptionError, match=f"did you mean '{nearest}'") as caught:
        group(**{wrong: 5})

    assert caught.value.name == wrong


def test_a_misspelt_required_option_is_answered_too() -> None:
    wrong: Any = {"adaptor": "postgres"}
    with pytest.raises(UnknownOptionError, match="did you mean 'adapter'"):
        WorkerGroup(**wrong)


def test_an_unknown_option_is_what_python_says_it_is() -> None:
    with pytest.raises(TypeError):
        group(nonsense=1)


def test_a_copy_with_a_misspelt_option_is_refused_as_well() -> None:
    wrong: Any = {"concurency": 5}
    with pytest.raises(UnknownOptionError):
        dataclasses.replace(group(), **wrong)


def test_a_group_can_be_copied_and_sent_to_another_process() -> None:
    one = group(queue=("email",), concurrency=100)

    assert copy.deepcopy(one) == one
    assert pickle.loads(pickle.dumps(one)) == one
    assert dataclasses.replace(one, concurrency=5) == group(queue=("email",), concurrency=5)


def test_the_signature_still_names_the_options() -> None:
    names = [field.name for field in dataclasses.fields(WorkerGroup)]

    assert list(inspect.signature(WorkerGroup).parameters) == names
