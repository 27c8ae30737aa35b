"""Finding the application's JobManager."""

from __future__ import annotations

import importlib
import sys
import traceback
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Self

from asyncjobs import settings
from asyncjobs.errors import AppNotFoundError, AsyncJobsError
from asyncjobs.frames import is_of_library
from asyncjobs.project import Project

if TYPE_CHECKING:
    from asyncjobs.manager import JobManager

VARIABLE = "ASYNCJOBS_APP"
DEFAULT_ATTRIBUTE = "jobs"
FRAMES = 3
"""How many frames of an error are shown at most, beside the app's last one."""


@dataclass(frozen=True, slots=True)
class AppReference:
    """Where the JobManager is, and who says so."""

    module: str
    attribute: str
    source: str
    project: Project

    @classmethod
    def find(cls, option: str | None) -> Self:
        """Return what *option* says, else the environment, else pyproject.toml.

        Raises AppNotFoundError, which names the three places.
        """
        project = Project.find()
        if found := settings.find("app", option or None, origin="--app"):
            return cls.parse(found.value, found.origin, project)
        looked = project.pyproject or f"there is none in {project.folder} or above"
        raise AppNotFoundError(
            "which app? Name its JobManager in one of three places: the option "
            f"`--app module:attribute`, the environment variable {VARIABLE}, or "
            f"`[tool.asyncjobs] app` in pyproject.toml ({looked}); "
            "`asyncjobs init` writes a first one"
        )

    @classmethod
    def parse(cls, text: str, source: str, project: Project) -> Self:
        """Read ``module:attribute``, or ``module`` alone. Raises AppNotFoundError."""
        module, _, attribute = text.strip().partition(":")
        attribute = attribute or DEFAULT_ATTRIBUTE
        if not all(part.isidentifier() for part in (*module.split("."), attribute)):
            hint = ""
            if "/" in module or module.endswith(".py"):
                dotted = module.removeprefix("./").removesuffix(".py").strip("/").replace("/", ".")
                hint = f"; did you mean {f'{dotted}:{attribute}'!r}?"
            raise AppNotFoundError(
                f"{text!r} (from {source}) is not of the form module:attribute, "
                f"such as app.jobs:jobs{hint}"
            )
        return cls(module, attribute, source, project)

    def __str__(self) -> str:
        return f"{self.module}:{self.attribute}"

    def load(self) -> JobManager:
        """Import the JobManager. Raises AppNotFoundError, which says what went wrong."""
        self._extend_path()
        try:
            module = importlib.import_module(self.module)
        except (Exception, SystemExit) as error:
            raise AppNotFoundError(self._import_problem(error)) from error
        from asyncjobs.manager import JobManager  # noqa: PLC0415 - not for --help

        found = getattr(module, self.attribute, None)
        if isinstance(found, JobManager):
            return found
        managers = [name for name, value in vars(module).items() if isinstance(value, JobManager)]
        raise AppNotFoundError(self._attribute_problem(vars(module), found, managers))

    def _extend_path(self) -> None:
        for folder in reversed(self._folders()):
            if folder in sys.path:
                sys.path.remove(folder)
            sys.path.insert(0, folder)

    def _folders(self) -> list[str]:
        source = self.project.folder / "src"
        places = (self.project.folder, *([source] if source.is_dir() else []), Path.cwd())
        return list(dict.fromkeys(map(str, places)))

    def _import_problem(self, error: BaseException) -> str:
        what = f"cannot import {self.module!r} (from {self.source}): "
        if isinstance(error, ModuleNotFoundError) and error.name and self._is_parent(error.name):
            folders = " and ".join(self._folders())
            return f"{what}there is no module {error.name!r} in {folders}, and none is installed"
        return what + "\n" + _told(error)

    def _is_parent(self, name: str) -> bool:
        return f"{self.module}.".startswith(f"{name}.")

    def _attribute_problem(
        self, names: dict[str, object], found: object, managers: list[str]
    ) -> str:
        near = managers or get_close_matches(self.attribute, names, n=1)
        hint = f"; did you mean {f'{self.module}:{near[0]}'!r}?" if near else ""
        if self.attribute in names:
            problem = f"{self.attribute!r} is no JobManager but {found!r}"
        else:
            problem = f"there is no {self.attribute!r}"
        return f"in the module {self.module!r} (from {self.source}) {problem}{hint}"


def _told(error: BaseException) -> str:
    """Return *error* with the app's last line, and with what comes after it, if that may help.

    It does not in an error of this package's: that speaks of the app's line.
    """
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename not in {__file__, importlib.__file__}
        if not frame.filename.startswith("<frozen")
    ]
    own = [at for at, frame in enumerate(frames) if _is_of_app(frame.filename)]
    last = own[-1] if own else len(frames)
    if isinstance(error, AsyncJobsError):
        frames = frames[: last + 1]
    begin = max(0, len(frames) - FRAMES)
    lines = traceback.format_list(frames[begin:])
    if last < begin:
        between = [f"  ... {begin - last - 1} more\n"] if begin - last > 1 else []
        lines = [*traceback.format_list([frames[last]]), *between, *lines]
    return "".join([*lines, *traceback.format_exception_only(error)]).rstrip()


def _is_of_app(file: str) -> bool:
    return not file.startswith("<") and not is_of_library(file)
