"""The reloader, with small programs in the place of workers."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import structlog
from structlog.testing import LogCapture

from asyncjobs.supervisor import Reloader, reloader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection
    from pathlib import Path

    import pytest

BOUND = 20.0

PROGRAM = """
import os, pathlib, signal, sys
said, source = pathlib.Path(sys.argv[1]) / "said", pathlib.Path(sys.argv[1]) / "source"
def say(word):
    with said.open("a") as file:
        file.write(f"{word}\\n")
def on_signal(number, frame):
    say(signal.Signals(number).name)
    if source.read_text() != "slow" or number == signal.SIGINT:
        os._exit(0)
signal.signal(signal.SIGTERM, on_signal)
signal.signal(signal.SIGINT, on_signal)
if source.read_text() == "broken":
    say("broken")
    raise SystemExit(2)
say(f"started-{os.environ['MODE']}")
while True:
    signal.pause()
"""


class Scene:
    """A reloader and what its program said."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.queue = folder, asyncio.Queue[str]()
        self.write("good")
        self.capture = LogCapture()
        self.reloader = Reloader(
            [sys.executable, "-S", "-c", PROGRAM, str(folder)],
            self.changes,
            env={"MODE": "dev"},
            logger=structlog.wrap_logger(None, processors=[self.capture]),
        )

    async def changes(self, stop: asyncio.Event) -> AsyncIterator[Collection[str]]:
        while not stop.is_set():
            yield {await self.queue.get()}

    def write(self, text: str) -> None:
        (self.folder / "source").write_text(text)

    def change(self, text: str) -> None:
        self.write(text)
        self.queue.put_nowait("source")

    async def wait_for(self, *words: str) -> None:
        async with asyncio.timeout(BOUND):
            while self.said() != list(words):
                await asyncio.sleep(0.01)

    async def wait_for_log(self, name: str) -> dict[str, Any]:
        async with asyncio.timeout(BOUND):
            while not (found := [e for e in self.capture.entries if e["event"] == name]):
                await asyncio.sleep(0.01)
        return dict(found[0])

    def said(self) -> list[str]:
        path = self.folder / "said"
        return path.read_text().split() if path.exists() else []


async def test_a_change_runs_the_command_again(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    running = asyncio.create_task(scene.reloader.run())
    await scene.wait_for("started-dev")
    scene.change("good")
    await scene.wait_for("started-dev", "SIGTERM", "started-dev")
    scene.reloader.stop()
    await asyncio.wait_for(running, BOUND)
    assert scene.said()[3:] == ["SIGTERM"]


async def test_a_broken_command_is_reported_and_runs_again_at_the_next_change(
    tmp_path: Path,
) -> None:
    scene = Scene(tmp_path)
    scene.write("broken")
    running = asyncio.create_task(scene.reloader.run())
    assert (await scene.wait_for_log("workers.ended"))["exit_code"] == 2
    scene.change("good")
    await scene.wait_for("broken", "started-dev")
    scene.reloader.stop()
    await asyncio.wait_for(running, BOUND)


async def test_a_reload_hurries_a_command_that_takes_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reloader, "RELOAD_PATIENCE", 0.1)
    scene = Scene(tmp_path)
    running = asyncio.create_task(scene.reloader.run())
    await scene.wait_for("started-dev")
    scene.change("slow")
    await scene.wait_for("started-dev", "SIGTERM", "SIGINT", "started-dev")
    scene.reloader.stop()
    await scene.wait_for("started-dev", "SIGTERM", "SIGINT", "started-dev", "SIGTERM")
    scene.reloader.hurry()
    await asyncio.wait_for(running, BOUND)


async def test_a_command_that_cannot_be_started_again_is_tried_at_the_next_change(
    tmp_path: Path,
) -> None:
    scene = Scene(tmp_path)
    python = tmp_path / "python"
    python.symlink_to(sys.executable)
    scene.reloader._command = [str(python), *scene.reloader._command[1:]]
    running = asyncio.create_task(scene.reloader.run())
    await scene.wait_for("started-dev")
    python.unlink()
    scene.change("good")
    assert "No such file" in (await scene.wait_for_log("workers.ended"))["error"]
    python.symlink_to(sys.executable)
    scene.change("good")
    await scene.wait_for("started-dev", "SIGTERM", "started-dev")
    scene.reloader.stop()
    await asyncio.wait_for(running, BOUND)


async def test_it_can_be_stopped_while_it_waits_for_a_change(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.write("broken")
    running = asyncio.create_task(scene.reloader.run())
    await scene.wait_for_log("workers.ended")
    scene.reloader.stop()
    await asyncio.wait_for(running, BOUND)
