"""Whose code a frame of a traceback is: the user's, or that of a library."""

from __future__ import annotations

import re
from pathlib import Path

_PACKAGE = re.escape(str(Path(__file__).parent))
_LIBRARIES = re.compile(
    r"[/\\](?:site|dist)-packages[/\\]|[/\\]lib[/\\]python3[^/\\]*[/\\]|^<frozen"
    rf"|^{_PACKAGE}[/\\]"
)


def is_of_library(file: str) -> bool:
    """Return whether *file*, as a traceback names it, is of a library, of Python or of ours.

    Ours counts where it is not installed as a library too. Source that has no file, such as
    what dataclasses write, is nobody's, and no library's.
    """
    return _LIBRARIES.search(file) is not None
