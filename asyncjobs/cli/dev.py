"""``dev``: everything that development needs, in one terminal."""

import asyncio
import os
import socket
import zlib
from collections.abc import AsyncIterator, Collection
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from watchfiles import Change, awatch

from asyncjobs import settings
from asyncjobs.cli.runner import on_signals, run
from asyncjobs.project import Project
from asyncjobs.storage.embedded import EmbeddedPostgres, default_data_dir
from asyncjobs.supervisor import Reloader

if TYPE_CHECKING:
    from asyncjobs.cli.settings import Settings

FIRST_PORT, PORTS = 54_400, 500
"""The embedded server listens on one of these, always the same for a project if it is free."""
TOOLS = frozenset({"__pycache__", "env", "node_modules", "site-packages", "venv"})
"""Folders that tools fill; those whose name begins with a dot are others."""


def dev(
    ctx: typer.Context,
    port: Annotated[
        int | None,
        typer.Option(help="The port of PostgreSQL.", show_default="one that stays the same"),
    ] = None,
) -> None:
    """Run the workers, and run them anew whenever a Python file of the project changes.

    Without ASYNCJOBS_DATABASE_URL and DATABASE_URL a PostgreSQL is started for this project;
    its data stay. The tables are created and updated.
    """
    options: Settings = ctx.obj
    options.configure_logging()
    app = options.reference()
    with _database(app.project, port) as server:
        environment = dict(os.environ)
        if server is not None:
            environment["ASYNCJOBS_DATABASE_URL"] = server.dsn
            print(f"PostgreSQL for other programs: ASYNCJOBS_DATABASE_URL={server.dsn}")
            print(f"its data: {server.data}", flush=True)
        command = options.command("work", "--migrate")
        changes = partial(source_changes, app.project.folder)
        run(_reload(Reloader(command, changes, env=environment)))


def _database(
    project: Project, port: int | None
) -> AbstractContextManager[EmbeddedPostgres | None]:
    if settings.find("database_url") is not None:
        return nullcontext()
    data = default_data_dir(project.folder)
    return EmbeddedPostgres.start(data, port=_usual_port(data) if port is None else port)


def _usual_port(data: Path) -> int:
    port = FIRST_PORT + zlib.crc32(os.fsencode(data)) % PORTS
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return 0
    return port


async def _reload(reloader: Reloader) -> int:
    on_signals(reloader.stop, reloader.hurry)
    await reloader.run()
    return 0


def source_changes(folder: Path, stop: asyncio.Event) -> AsyncIterator[Collection[str]]:
    """Yield the paths of the Python files in *folder* that change, until *stop* is set."""
    folder = folder.resolve()

    def is_source(_: Change, path: str) -> bool:
        return _is_source(Path(path).relative_to(folder))

    changes = awatch(
        folder,
        watch_filter=is_source,
        debounce=400,
        stop_event=stop,
        ignore_permission_denied=True,
    )
    return _relative(changes, f"{folder}{os.sep}")


async def _relative(
    changes: AsyncIterator[set[tuple[Change, str]]], prefix: str
) -> AsyncIterator[Collection[str]]:
    async for found in changes:
        yield {path.removeprefix(prefix) for _, path in found}


def _is_source(path: Path) -> bool:
    by_tools = any(part in TOOLS or part.startswith(".") for part in path.parts)
    return path.suffix == ".py" and not by_tools
