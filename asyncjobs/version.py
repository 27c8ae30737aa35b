"""Which version of this package is installed."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version

DISTRIBUTION = "asyncjobs-pg"


@cache
def installed_version() -> str | None:
    """Return the version; None if the package is only lying about, and not installed."""
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return None
