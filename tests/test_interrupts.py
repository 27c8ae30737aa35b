"""A second Ctrl-C does not tear down what the first one ends; a third does."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap

import pytest

PROGRAM = """
import asyncio, os, signal
from asyncjobs.interrupts import second_interrupt_ignored

async def main():
    {before}
    try:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(10)
    except asyncio.CancelledError:
        with second_interrupt_ignored():
            for _ in range({times}):
                os.kill(os.getpid(), signal.SIGINT)
                await asyncio.sleep(0.01)
        print("ended", signal.getsignal(signal.SIGINT).__class__.__name__, flush=True)
        raise

signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started us may ignore it
asyncio.run(main())
"""


def run(times: int, before: str = "pass") -> subprocess.CompletedProcess[str]:
    program = textwrap.dedent(PROGRAM).format(times=times, before=before)
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("times", [0, 1])
def test_what_ends_comes_to_its_end_and_the_program_is_interrupted_all_the_same(
    times: int,
) -> None:
    done = run(times)
    assert done.stdout == "ended partial\n"
    assert (done.returncode, "KeyboardInterrupt" in done.stderr) == (-signal.SIGINT, True)


def test_who_insists_is_heard() -> None:
    done = run(2)
    assert done.stdout == ""
    assert (done.returncode, "KeyboardInterrupt" in done.stderr) == (-signal.SIGINT, True)


def test_a_handler_of_the_program_is_left_alone() -> None:
    told = "asyncio.get_running_loop().add_signal_handler(2, asyncio.current_task().cancel)"
    done = run(0, before=told)
    assert "ended" in done.stdout
    assert "partial" not in done.stdout
