"""The standard streams, which whoever starts a command may have closed."""

from __future__ import annotations

import contextlib
import os
import sys


def open_standard_streams() -> None:
    """Give this process, and those that it starts, what stands for the streams that are closed.

    Otherwise what is opened next takes their numbers: uvloop refuses to close such a one, and
    an error message would be written into a connection.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest that is free
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(number, mode, closefd=False, encoding="utf-8"))  # noqa: SIM115


def flush_streams() -> None:
    """Let what was printed leave this process, as far as anybody takes it."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # as it is where somebody has closed it
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
