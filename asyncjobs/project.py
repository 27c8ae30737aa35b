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
        here = Path.cwd()
        for folder in (here, *here.parents):
            if (found := folder / "pyproject.toml").is_file():
                return cls(folder, found)
        return cls(here, None)

    @property
    def app(self) -> str | None:
        """What ``[tool.asyncjobs] app`` says. Raises ConfigError if it cannot be read."""
        if self.pyproject is None:
            return None
        app = configured_app(parse_toml(self.pyproject, self.pyproject.read_text(encoding="utf-8")))
        if app is not None and not isinstance(app, str):
            raise ConfigError(f"{self.pyproject}: [tool.asyncjobs] app must be text, got {app!r}")
        return app

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
    tool = document.get("tool", {})
    table = tool.get("asyncjobs", {}) if isinstance(tool, dict) else {}
    return table.get("app") if isinstance(table, dict) else None
