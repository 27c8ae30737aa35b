"""The settings of what is served, with their passwords and tokens: typed, said, or in a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from asyncjobs import settings
from asyncjobs.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asyncjobs.settings.catalogue import Owner


def values_of(
    owner: Owner, secret: str, typed: Mapping[str, Any], defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the settings of *owner*: what was *typed*, then what is said elsewhere.

    *secret* is the one that a file may hold, whose name ends in ``_file``.
    """
    given = {name: value for name, value in typed.items() if value is not None}
    found = settings.resolve_all(owner, given, origin=settings.COMMAND_LINE)
    said = {name: each.value for name, each in found.items()}
    if given.get(f"{secret}_file") is not None:
        said[secret] = None  # what was typed, before what is always there
    return {**defaults, **said}


def secret_of(said: str | None, file: str | None, option: str) -> str | None:
    """Return what was *said*, or else what is in *file*, which *option* named."""
    if said is not None or file is None:
        return said
    try:
        return Path(file).read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise ConfigError(f"{option} cannot be read: {error}") from error
