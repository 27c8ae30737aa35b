"""The standard streams, which whoever starts a command may have closed."""

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
