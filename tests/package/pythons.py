"""Where this machine has which Python."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
"""The versions that the package says it supports."""


@cache
def interpreter(version: str) -> Path | None:
    """Return the program of that version, on ``PATH`` or of pyenv, or None."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = [shutil.which(f"python{version}")]
    found += sorted(pyenv.glob(f"versions/{version}.*/bin/python{version}"), reverse=True)
    for program in found:
        if program is not None and _runs(program, version):
            return Path(program)
    return None


def _runs(program: str | Path, version: str) -> bool:
    # A shim of pyenv is there, and refuses, when its version is not the one in use.
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([program, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.strip() == version
