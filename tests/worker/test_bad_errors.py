"""Exceptions of the oddest kinds are recorded, cost no neighbour, and do not end the worker."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


class MuteError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


class RudeError(Exception):
    def __str__(self) -> str:
        raise SystemExit

    __repr__ = __str__


class NumberError(Exception):
    def __str__(self) -> Any:
        return 7  # noqa: PLE0307 - what it is about


class StubbornError(Exception):
    def with_traceback(self, traceback: Any) -> Any:
        raise RuntimeError("no traceback for me")


class EqualError(Exception):
    def __eq__(self, other: object) -> bool:
        raise RuntimeError("cannot be compared")

    __hash__ = None  # type: ignore[assignment]


def with_notes() -> Exception:
    error = ValueError("noted")
    error.__notes__ = ["\0", "\ud800", 7]  # type: ignore[list-item]
    return error


def with_nonsense_for_notes() -> Exception:
    error = ValueError("noted")
    error.__notes__ = 7  # type: ignore[assignment]
    return error


def self_caused() -> Exception:
    error = ValueError("ouroboros")
    error.__cause__ = error.__context__ = error
    return error


def caused_in_a_circle() -> Exception:
    first, second = ValueError("first"), KeyError("second")
    first.__cause__, second.__cause__ = second, first
    return first


def with_many_causes() -> Exception:
    error = first = ValueError("0")
    for number in range(20_000):
        error.__cause__ = ValueError(str(number))
        error = error.__cause__
    return first


def in_many_groups() -> Exception:
    error: Exception = ValueError("inmost")
    for _ in range(5_000):
        error = ExceptionGroup("group", [error])
    return error


def from_deep_recursion() -> Exception:
    def descend() -> None:
        descend()

    try:
        descend()
    except RecursionError as error:
        return error
    raise AssertionError


def from_two_deep_recursions() -> Exception:
    def left() -> None:
        right()

    def right() -> None:
        left()

    try:
        left()
    except RecursionError as error:
        return error
    raise AssertionError


def odd_syntax_error() -> Exception:
    error = SyntaxError("odd", ("file", 1, 2, "text"))
    error.text, error.lineno, error.offset, error.filename = 5, "x", [], None  # type: ignore[assignment]
    return error


def named(name: str) -> Exception:
    found: Exception = type(name, (Exception,), {})("named")
    type(found).__qualname__ = name
    return found


ERRORS: dict[str, Callable[[], BaseException]] = {
    "null characters": lambda: ValueError("a\0b"),
    "surrogates": lambda: ValueError("\ud83d \udc00"),
    "bytes": lambda: ValueError(b"\x00\xff"),
    "one hundred megabytes": lambda: ValueError("x" * 100_000_000),
    "ten megabytes of nulls": lambda: ValueError("\0" * 10_000_000),
    "huge integer": lambda: ValueError(10**5_000),
    "str raises": MuteError,
    "str exits": RudeError,
    "str is no str": NumberError,
    "with_traceback raises": lambda: StubbornError("stubborn"),
    "eq raises": lambda: EqualError("equal"),
    "args are nonsense": lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 10**9, "why"),
    "key error": lambda: KeyError("\0"),
    "notes": with_notes,
    "nonsense for notes": with_nonsense_for_notes,
    "self caused": self_caused,
    "caused in a circle": caused_in_a_circle,
    "many causes": with_many_causes,
    "group": lambda: ExceptionGroup("\0", [ValueError("\ud800"), ExceptionGroup("b", [OSError()])]),
    "base group": lambda: BaseExceptionGroup("both", [KeyboardInterrupt(), ValueError("x")]),
    "many groups": in_many_groups,
    "wide group": lambda: ExceptionGroup("wide", [ValueError(str(n)) for n in range(10_000)]),
    "deep recursion": from_deep_recursion,
    "two deep recursions": from_two_deep_recursions,
    "odd syntax error": odd_syntax_error,
    "odd name": lambda: named("\ud800\n" * 50_000),
    "system exit": lambda: SystemExit("bye"),
    "keyboard interrupt": KeyboardInterrupt,
    "generator exit": GeneratorExit,
    "stop iteration": lambda: StopIteration(5),
    "stop async iteration": lambda: StopAsyncIteration(5),
}


@pytest.mark.parametrize("kind", ERRORS)
async def test_a_job_that_raises_it_is_recorded_and_its_neighbours_run(
    bench: Any, kind: str
) -> None:
    ran: list[int] = []

    @bench.jobs.job(max_attempts=2, backoff=lambda *_: 0)
    async def work(number: int) -> None:
        if number == 0:
            raise ERRORS[kind]()
        ran.append(number)

    stored = await bench.later.many([work(number) for number in (1, 2, 0, 3, 4)])
    await bench.jobs.workoff()
    assert sorted(ran) == [1, 2, 3, 4]
    record = await bench.record(stored[2].id)
    assert (record.state, record.attempt) == ("failed", 2)
    errors = json.loads(record.errors)
    assert [error["attempt"] for error in errors] == [1, 2]
    for error in errors:
        assert error["error"]
        assert "\0" not in str(error)
        assert len(error["message"]) < 3_000
        assert 0 < len(error["traceback"]) < 20_000
    retried = [line for line in bench.log if line["event"] == "job.retried"]
    assert len(retried[0]["error"]) < 3_000


@pytest.mark.parametrize("kind", ["str raises", "null characters", "self caused", "group"])
async def test_a_thread_that_raises_it_is_recorded(bench: Any, kind: str) -> None:
    @bench.jobs.job(max_attempts=1)
    def work() -> None:
        raise ERRORS[kind]()

    stored = await bench.later(work())
    await bench.jobs.workoff()
    assert (await bench.record(stored.id)).state == "failed"


@pytest.mark.parametrize(
    "kind",
    [
        "str raises",
        "surrogates",
        "one hundred megabytes",
        "base group",
        "system exit",
        "keyboard interrupt",
        "generator exit",
    ],
)
async def test_a_backoff_that_raises_it_is_recorded(bench: Any, kind: str) -> None:
    def backoff(attempt: int, error: BaseException) -> float:
        raise ERRORS[kind]()

    @bench.jobs.job(max_attempts=2, backoff=backoff)
    async def work() -> None:
        raise ValueError("first")

    stored = await bench.later(work())
    await bench.jobs.workoff()
    record = await bench.record(stored.id)
    # The default applies, which is a second: on a busy machine the next attempt was made too.
    assert (record.state, len(json.loads(record.errors))) in [("scheduled", 1), ("failed", 2)]


@pytest.mark.parametrize("delay", [float("nan"), float("inf"), -1, "soon", 10**400, True, b"", {}])
async def test_a_backoff_that_returns_nonsense_loses_no_job(bench: Any, delay: Any) -> None:
    @bench.jobs.job(max_attempts=2, backoff=lambda *_: delay)
    async def work() -> None:
        raise ValueError("first")

    stored = await bench.later(work())
    await bench.jobs.workoff()
    record = await bench.record(stored.id)
    assert (record.state, record.attempt) in [("scheduled", 1), ("failed", 2)]


async def test_an_error_whose_class_cannot_be_told_is_recorded(bench: Any) -> None:
    class Nobody(Exception):  # noqa: N818 - it is none
        @property
        def __class__(self) -> Any:
            raise RuntimeError("no class")

    @bench.jobs.job(max_attempts=1)
    async def work() -> None:
        raise Nobody

    stored = await bench.later(work())
    await bench.jobs.workoff()
    record = await bench.record(stored.id)
    assert (record.state, record.attempt) == ("failed", 1)
    [error] = json.loads(record.errors)
    assert (error["error"], error["message"]) == ("RuntimeError", "no class")


async def test_a_deep_call_stack_is_shortened_and_both_ends_are_kept(bench: Any) -> None:
    def inner(depth: int) -> None:
        if depth == 0:
            raise ValueError("the end")
        outer(depth - 1)

    def outer(depth: int) -> None:
        inner(depth)

    @bench.jobs.job(max_attempts=1)
    async def work() -> None:
        inner(sys.getrecursionlimit() // 4)

    stored = await bench.later(work())
    await bench.jobs.workoff()
    [error] = json.loads((await bench.record(stored.id)).errors)
    assert error["traceback"].startswith("Traceback")
    assert error["traceback"].rstrip().endswith("ValueError: the end")
    assert "characters left out" in error["traceback"]
