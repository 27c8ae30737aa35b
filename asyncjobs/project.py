"""The project that a command is typed in: its folder and its settings."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from asyncjobs.errors import ConfigError

STATE_FOLDER = ".asyncjobs"


@dataclass(frozen=True, slots=True)
class Project:
    """The folder of the nearest pyproject.toml upwards; without one, the current folder."""

    folder: Path
    pyproject: Path | None

    @classmethod
    def find(cls) -> Self:
        """Look for it from the current folder on."""
        here = _here()
        for folder in (here, *here.parents):
            if (found := folder / "pyproject.toml").is_file():
                return cls(folder, found)
        return cls(here, None)

    @property
    def state_folder(self) -> Path:
        """Where what belongs to running workers is kept."""
        return self.folder / STATE_FOLDER


def parse_toml(path: Path, text: str) -> dict[str, Any]:
    """Return what the *text* of the file *path* says. Raises ConfigError."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error


def configured_app(document: dict[str, Any]) -> Any:
    """Return the app that a pyproject.toml names, or None."""
    table = _table(document)
    return table.get("app") if isinstance(table, dict) else None


def tool_table(path: Path) -> dict[str, Any]:
    """Return the table ``[tool.asyncjobs]`` of the file *path*. Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    table = _table(parse_toml(path, text))
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: [tool.asyncjobs] must be a table, got {table!r}")
    return table


def _table(document: dict[str, Any]) -> Any:
    tool = document.get("tool", {})
    return tool.get("asyncjobs", {}) if isinstance(tool, dict) else {}


def _here() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:  # somebody removed it
        return Path("/")
