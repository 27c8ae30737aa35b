"""Passwords and tokens: from the environment, or from a file."""

from __future__ import annotations

from pathlib import Path

from asyncjobs.errors import ConfigError


def secret_of(said: str | None, file: str | None, option: str) -> str | None:
    """Return what was *said*, or else what is in *file*, which *option* named."""
    if said is not None or file is None:
        return said
    try:
        return Path(file).read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise ConfigError(f"{option} cannot be read: {error}") from error
