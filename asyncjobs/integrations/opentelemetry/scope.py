"""Who says it is that traces and measures."""

from __future__ import annotations

from importlib import metadata

NAME = "asyncjobs"


def version() -> str:
    """Return the version of this package; empty if it is not installed."""
    try:
        return metadata.version("asyncjobs-pg")
    except metadata.PackageNotFoundError:
        return ""
