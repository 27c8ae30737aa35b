"""Serving an ASGI app of ours from a command."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from functools import partial
from typing import TYPE_CHECKING, Any

from asyncjobs.cli.runner import on_signals
from asyncjobs.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LOOPBACK = ("127.0.0.1", "::1", "localhost")
END_TIMEOUT = 2
"""Seconds for open pages at the end."""


def listen(what: str, host: str, port: int) -> socket.socket:
    """Return a socket that listens for *what*. Raises ConfigError."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise ConfigError(f"{what} cannot listen on {host} port {port}: {error}") from error


def address_of(listener: socket.socket, host: str) -> str:
    """Return what to type to get there."""
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{listener.getsockname()[1]}/"


async def serve(app: Any, listener: socket.socket, *, logs: bool = True) -> None:
    """Serve *app*, whose manager is open, until SIGINT or SIGTERM; at once at the second.

    With *logs* each request is a line of the log.
    """
    server = _server(app, logs=logs)
    on_signals(partial(_end, server), partial(_end, server, now=True))
    await server.serve(sockets=[listener])


@contextlib.asynccontextmanager
async def served(app: Any, listener: socket.socket) -> AsyncIterator[None]:
    """Serve *app* meanwhile."""
    server = _server(app, logs=False)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield
    finally:
        _end(server)
        await task


def _server(app: Any, *, logs: bool) -> Any:
    import uvicorn  # noqa: PLC0415 - an extra

    config = uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=logs,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=END_TIMEOUT,
    )
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment] # ours end with 0
    return server


def _end(server: Any, *, now: bool = False) -> None:
    server.should_exit = True
    server.force_exit = now
