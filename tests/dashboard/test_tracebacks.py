"""Tracebacks show the user's own frames, and fold away those of libraries."""

from __future__ import annotations

import asyncio
import traceback
from pathlib import Path

import asyncjobs
from asyncjobs.dashboard.tracebacks import fold

JOBS = """
import json

def parse(text):
    return json.loads(text)

def translate(text):
    try:
        parse(text)
    except ValueError as error:
        raise LookupError("no such order") from error

async def read(text):
    parse(text)

async def parse_all(texts):
    import asyncio
    async with asyncio.TaskGroup() as group:
        for text in texts:
            group.create_task(read(text))
"""
SHOP = "/srv/shop/jobs.py"


def raised(function: str, *args: object) -> str:
    """What Python writes of the error of a function of the shop's."""
    space: dict[str, object] = {}
    exec(compile(JOBS, SHOP, "exec"), space)
    called = space[function]
    assert callable(called)
    try:
        if asyncio.iscoroutine(coroutine := called(*args)):
            asyncio.run(coroutine)
    except Exception as error:
        told = error.with_traceback(error.__traceback__ and error.__traceback__.tb_next)
        return "".join(traceback.format_exception(told))
    raise AssertionError("nothing was raised")


def shown(text: str) -> str:
    return "\n".join(part.text for part in fold(text) if not part.frames)


def test_what_is_folded_is_of_libraries_only_and_nothing_is_lost() -> None:
    for text in (raised("parse", "{"), raised("translate", "{"), raised("parse_all", ["{", "["])):
        parts = fold(text)
        assert "\n".join(part.text for part in parts) == text.rstrip("\n")
        assert SHOP in shown(text)
        assert "decoder.py" not in shown(text)
        assert all(SHOP not in part.text for part in parts if part.frames)


def test_the_words_between_frames_are_shown() -> None:
    text = shown(raised("translate", "{"))
    assert "The above exception was the direct cause of the following exception:" in text
    assert "LookupError: no such order" in text
    assert "JSONDecodeError" in text


def test_each_exception_of_a_group_is_shown() -> None:
    text = raised("parse_all", ["{", "["])
    assert "ExceptionGroup: unhandled errors in a TaskGroup (2 sub-exceptions)" in shown(text)
    assert shown(text).count("JSONDecodeError") == 2
    assert shown(text).count(SHOP) == text.count(SHOP) == 5
    assert "+---------------- 2 ----------------" in shown(text)
    assert any(part.frames for part in fold(text))


def test_frames_of_this_package_are_a_librarys_those_of_a_folder_of_its_name_are_not() -> None:
    ours = str(Path(asyncjobs.__file__).with_name("hooks.py"))
    shops = "/srv/asyncjobs/shop/jobs.py"
    text = raised("translate", "{").replace(SHOP, shops)
    assert shown(text).count(shops) == text.count(shops)
    assert ours not in shown(f"{text}\n{text.replace(shops, ours)}")


def test_a_traceback_of_libraries_alone_is_shown_whole() -> None:
    text = raised("parse", "{").replace(SHOP, "/venv/lib/python3.11/site-packages/shop.py")
    [part] = fold(text)
    assert part.text == text
    assert part.frames == 0


def test_nothing_has_no_parts() -> None:
    assert fold("") == []
