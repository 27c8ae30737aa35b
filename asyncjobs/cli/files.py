"""Files that the command writes into a user's project."""

from __future__ import annotations

import keyword
from typing import TYPE_CHECKING

from asyncjobs.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def module_name(path: Path, folder: Path) -> str:
    """Return by which name the file *path* of the project in *folder* is imported.

    Raises ConfigError if it cannot be.
    """
    path = path.resolve()
    if path.suffix != ".py" or not path.is_relative_to(folder.resolve()):
        raise ConfigError(f"{path} is not a .py file in {folder}")
    parts = path.relative_to(folder.resolve()).with_suffix("").parts
    parts = parts[1:] if parts[0] == "src" and len(parts) > 1 else parts
    for part in parts:
        if not part.isidentifier() or keyword.iskeyword(part):
            raise ConfigError(f"{path} cannot be imported: {part!r} is not a name in Python")
    return ".".join(parts)


def line_end(path: Path) -> str:
    """Return what ends the lines of the file *path*, for what is added to them."""
    return "\r\n" if b"\r\n" in path.read_bytes() else "\n"


def write_new(path: Path, text: str, *, force: bool = False) -> None:
    """Write a file that does not exist yet. Raises ConfigError if it does, or on failure."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ConfigError(f"{path} already exists; --force overwrites it") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error}") from error
