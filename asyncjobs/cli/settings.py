"""The options that go before the verb, and go on to the processes that a verb starts."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Self

from asyncjobs import settings
from asyncjobs.project import Project
from asyncjobs.reference import AppReference

if TYPE_CHECKING:
    from collections.abc import Mapping


class LogFormat(StrEnum):
    """How lines of log are written."""

    AUTO = "auto"
    PRETTY = "pretty"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Settings:
    """What was typed before the verb."""

    app: str | None = None
    verbose: bool = False
    log_format: LogFormat = LogFormat.AUTO
    resolved: Mapping[str, settings.Resolved] = field(default_factory=dict)
    """Where these came from, and what else is said of commands."""

    @classmethod
    def resolve(
        cls, app: str | None, log_format: LogFormat | None, *, verbose: bool = False
    ) -> Self:
        """Return what counts when this was typed. Raises ConfigError, UnknownSettingError."""
        given: dict[str, object] = {"verbose": True} if verbose else {}
        if log_format is not None:
            given["log_format"] = log_format.value
        if app:
            given["app"] = app
        found = settings.resolve_all("command", given, origin=settings.COMMAND_LINE)
        values = {name: each.value for name, each in found.items()}
        return cls(
            app,
            values.get("verbose", False),
            LogFormat(values.get("log_format", LogFormat.AUTO)),
            found,
        )

    def reference(self) -> AppReference:
        """Find out which app is meant. Raises AppNotFoundError."""
        return AppReference.find(self.app)

    def configure_logging(self) -> None:
        """Set up the log of this process."""
        from asyncjobs.cli.logs import configure_logging  # noqa: PLC0415 - not for --help

        configure_logging(verbose=self.verbose, log_format=self.log_format)

    def command(self, *arguments: str) -> list[str]:
        """Return how to run this program again in the same folder, with the same options."""
        options = ["--log-format", self.log_format.value]
        options += ["--app", self.app] if self.app else []
        options += ["--verbose"] if self.verbose else []
        return [sys.executable, "-m", "asyncjobs", *options, *arguments]


def state_folder(option: Path | None) -> Path:
    """Return *option* or, if nothing says where, the folder of the project."""
    given = None if option is None else str(option)
    found = settings.find("state_dir", given, origin="--state-dir")
    return Project.find().state_folder if found is None else Path(found.value).absolute()
