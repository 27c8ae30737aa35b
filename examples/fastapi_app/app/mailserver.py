"""A mail server for the demo: it keeps what it receives, byte for byte, in a maildir.

``python -m app.mailserver`` listens on SMTP_HOST and SMTP_PORT; with ``--fd N`` it takes a
socket that somebody else has opened.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import socket
import time
from itertools import count
from typing import TYPE_CHECKING, Any

from aiosmtpd.smtp import SMTP

from app.settings import settings

if TYPE_CHECKING:
    from pathlib import Path


class Maildir:
    """Stores each mail as a file: written in ``tmp``, then moved to ``new`` as a whole."""

    def __init__(self, folder: Path) -> None:
        self._tmp, self._new = folder / "tmp", folder / "new"
        self._numbers = count()
        for place in (self._tmp, self._new):
            place.mkdir(parents=True, exist_ok=True)

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's
        """Take a mail; answer the sender only when it is stored."""
        name = f"{time.time_ns()}-{next(self._numbers)}"
        self.store(name, envelope.original_content)
        return f"250 OK: stored as {name}"

    def store(self, name: str, mail: bytes) -> None:
        """Store *mail* under *name*."""
        unfinished = self._tmp / name
        unfinished.write_bytes(mail)
        unfinished.replace(self._new / f"{name}.eml")


async def serve(listener: socket.socket, maildir: Maildir) -> None:
    """Receive mails until SIGINT or SIGTERM."""
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    async with await loop.create_server(lambda: SMTP(maildir, loop=loop), sock=listener):
        await stopping.wait()


def main() -> None:
    """Run the mail server."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fd", type=int, help="the number of an open, listening socket")
    number = parser.parse_args().fd
    address = (settings.smtp_host, settings.smtp_port)
    listener = socket.create_server(address) if number is None else socket.socket(fileno=number)
    with contextlib.closing(listener):
        asyncio.run(serve(listener, Maildir(settings.mails)))


if __name__ == "__main__":
    main()
