"""The options that go before the verb, and go on to the processes that a verb starts."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from asyncjobs.cli.logs import LogFormat, configure_logging
from asyncjobs.project import Project
from asyncjobs.reference import AppReference

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Settings:
    """What was typed before the verb."""

    app: str | None = None
    verbose: bool = False
    log_format: LogFormat = LogFormat.AUTO

    def reference(self) -> AppReference:
        """Find out which app is meant. Raises AppNotFoundError."""
        return AppReference.find(self.app)

    def configure_logging(self) -> None:
        """Set up the log of this process."""
        configure_logging(verbose=self.verbose, log_format=self.log_format)

    def command(self, *arguments: str) -> list[str]:
        """Return how to run this program again in the same folder, with the same options."""
        options = ["--log-format", self.log_format.value]
        options += ["--app", self.app] if self.app else []
        options += ["--verbose"] if self.verbose else []
        return [sys.executable, "-m", "asyncjobs", *options, *arguments]


def state_folder(option: Path | None) -> Path:
    """Return *option* or, if it is not given, the folder of the project."""
    return Project.find().state_folder if option is None else option.absolute()
