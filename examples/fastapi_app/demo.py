"""Run the whole demo: PostgreSQL, mail server, web app, and a worker of its own.

``python demo.py`` serves until Ctrl-C; ``python demo.py --check`` visits the app itself and
says whether all went well. It takes the database that ASYNCJOBS_DATABASE_URL or
DATABASE_URL names, or else starts a PostgreSQL that ends with it.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import anyio
import httpx
from check import CheckFailedError, check
from children import ChildEndedError
from stack import DemoError, run_stack, say

from asyncjobs.errors import EmbeddedPostgresError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

LOG_LINES = 60
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

FAILURES = (CheckFailedError, ChildEndedError, DemoError, EmbeddedPostgresError, httpx.HTTPError)


async def demonstrate(options: argparse.Namespace) -> bool:
    """Run the demo until a signal comes or the check is done; False if it was cut short."""
    done = not options.check
    with anyio.open_signal_receiver(*SIGNALS) as signals, open_folder() as folder:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(cancel_at, signals, tasks.cancel_scope)
            with open_output(folder, to_file=options.check) as output:
                await visit(options, folder, output)
            done = True
            tasks.cancel_scope.cancel()
        say("stopped")
    return done


async def visit(options: argparse.Namespace, folder: Path, output: IO[bytes] | None) -> None:
    """Run the processes, and beside them the check, or nothing for ever."""
    async with run_stack(options.host, options.port, folder, output) as address:
        say(f"the web app answers at {address}, with workers in it and one beside it")
        try:
            if options.check:
                await check(address, say)
            else:
                say(f"ready: sign up at {address}, mails arrive at {address}/inbox, Ctrl-C stops")
                await anyio.sleep_forever()
        finally:
            say("stopping")


async def cancel_at(signals: AsyncIterator[signal.Signals], scope: anyio.CancelScope) -> None:
    """Cancel *scope* at the first signal."""
    async for number in signals:
        say(f"got {number.name}")
        scope.cancel()


@contextmanager
def open_folder() -> Iterator[Path]:
    """Make a folder for the body, and remove it afterwards."""
    with tempfile.TemporaryDirectory(prefix="asyncjobs-demo-") as name:
        folder = Path(name)
        if os.geteuid() == 0:
            folder.chmod(0o711)  # PostgreSQL refuses root: its own user has to get in
        yield folder


@contextmanager
def open_output(folder: Path, *, to_file: bool) -> Iterator[IO[bytes] | None]:
    """Give the body a file for what the processes say; its end is shown if something fails."""
    if not to_file:
        yield None
        return
    with (folder / "demo.log").open("w+b") as output:
        try:
            yield output
        except Exception:
            output.seek(0)
            lines = output.read().decode(errors="replace").splitlines()
            print("\n".join(lines[-LOG_LINES:]))
            raise


def main() -> int:
    """Run the demo and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="sign up, watch, and stop")
    parser.add_argument("--host", default=os.environ.get("DEMO_HOST", "127.0.0.1"))
    parser.add_argument("--port", type=int, default=int(os.environ.get("PORT", "8000")))
    options = parser.parse_args()
    done = False
    try:
        done = anyio.run(demonstrate, options)
    except* FAILURES as errors:
        say(f"FAILED: {'; '.join(describe(errors))}")
    return 0 if done else 1


def describe(error: BaseException) -> list[str]:
    """Return what the errors in *error* say."""
    if isinstance(error, BaseExceptionGroup):
        return [line for inner in error.exceptions for line in describe(inner)]
    return [str(error) or type(error).__name__]


if __name__ == "__main__":
    sys.exit(main())
