"""``generate job``: a job of one's own and its test.

A worker knows the jobs of the modules that the app's module imports. So the generated
module is imported at the end of that module: there the JobManager exists already, which the
generated module imports in turn.
"""

import keyword
import re
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import typer

from asyncjobs.cli.files import line_end, write_new
from asyncjobs.cli.templates import CONFTEST, JOB, TEST
from asyncjobs.errors import ConfigError
from asyncjobs.manager import JobManager
from asyncjobs.reference import AppReference

if TYPE_CHECKING:
    from asyncjobs.cli.settings import Settings

HUMPS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

generators = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode="markdown")


@generators.callback()
def generate() -> None:
    """Write source for you."""


@generators.command("job", epilog="Example: asyncjobs generate job send_invoice")
def job(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="What the job does: send_invoice or SendInvoice.")],
    force: Annotated[bool, typer.Option("--force", help="Overwrite the files.")] = False,
) -> None:
    """Write a job and its test, and import the job where workers find it."""
    settings: Settings = ctx.obj
    app = settings.reference()
    new = NewJob.plan(snake_case(name), app, app.load())
    if not force:
        new.check_free()
    write_new(new.path, new.source, force=force)
    write_new(new.test_path, new.test_source, force=force)
    for line in (*new.let_pytest_import(), *new.let_workers_import()):
        print(line)
    print(f"wrote the job   {new.path}\nwrote its test  {new.test_path}")
    print(f"\nrun the test:  python -m pytest {new.test_path}")
    print(f'schedule it:   await later({new.name}("Ada"))')


def snake_case(name: str) -> str:
    """Return *name* as a function is named. Raises ConfigError if it cannot be one."""
    words = HUMPS.sub("_", name.strip()).replace("-", "_").replace(" ", "_").lower()
    snake = re.sub("_+", "_", words).strip("_")
    if not snake.isidentifier():
        reason = "it begins with a digit" if snake[:1].isdigit() else "only letters, digits and _"
        raise ConfigError(f"{name!r} cannot be the name of a job: {reason if snake else 'empty'}")
    if keyword.iskeyword(snake) or keyword.issoftkeyword(snake):
        raise ConfigError(f"{name!r} cannot be the name of a job: {snake} is a keyword of Python")
    return snake


@dataclass(frozen=True, slots=True)
class NewJob:
    """What is written for one job."""

    name: str
    queue: str
    app: AppReference
    app_path: Path

    @classmethod
    def plan(cls, name: str, app: AppReference, jobs: JobManager) -> Self:
        """Find the place for the job *name*. Raises ConfigError if there is none."""
        if name == app.attribute:
            raise ConfigError(f"{name!r} cannot be the name of a job: {app} is named so")
        path = getattr(sys.modules[app.module], "__file__", None)
        if path is None:
            raise ConfigError(f"the module {app.module!r} is no file")
        queue = "default" if "default" in jobs.queues else jobs.queues[0]
        new = cls(name, queue, app, Path(path).resolve())
        if (known := jobs.registry.get(name)) and known.__module__ != new.module:
            raise ConfigError(f"there already is a job {name!r}: {known.location}")
        return new

    @property
    def stem(self) -> str:
        """The name of its module. The ending keeps it apart from those of others."""
        return self.name if self.name.endswith("_job") else f"{self.name}_job"

    @property
    def package(self) -> str:
        """The package that its module is in; empty at the top."""
        if self.app_path.stem == "__init__":
            return self.app.module
        return self.app.module.rpartition(".")[0]

    @property
    def module(self) -> str:
        """By which name its module is imported."""
        return f"{self.package}.{self.stem}" if self.package else self.stem

    @property
    def path(self) -> Path:
        """Where its module is: beside the app's."""
        return self.app_path.with_name(f"{self.stem}.py")

    @property
    def test_path(self) -> Path:
        """Where its test is."""
        return self.app.project.folder / "tests" / f"test_{self.stem}.py"

    @property
    def source(self) -> str:
        """The text of its module."""
        options = "" if self.queue == "default" else f'queue="{self.queue}"'
        return JOB.substitute(
            name=self.name,
            module=self.app.module,
            attribute=self.app.attribute,
            options=options,
        )

    @property
    def test_source(self) -> str:
        """The text of its test."""
        return TEST.substitute(name=self.name, job_module=self.module)

    def check_free(self) -> None:
        """Raise ConfigError if one of the files exists, before any is written."""
        for path in (self.path, self.test_path):
            if path.exists():
                raise ConfigError(f"{path} already exists; --force overwrites it")

    def let_workers_import(self) -> list[str]:
        """Import the job at the end of the app's module; return what to tell about it."""
        where = f"from {self.package} import" if self.package else "import"
        line = f"{where} {self.stem} as _{self.stem}  # noqa: E402, F401 - workers find it here"
        text = self.app_path.read_text(encoding="utf-8")
        if line in text.splitlines():
            return []
        gap = "" if text.endswith("\n") or not text else "\n"
        with self.app_path.open("a", encoding="utf-8", newline=line_end(self.app_path)) as file:
            file.write(f"{gap}\n{line}\n")
        return [f"added its import to the end of {self.app_path}, so that workers know it"]

    def let_pytest_import(self) -> list[str]:
        """Let pytest find the app from the tests; return what to tell about it."""
        folder = self.app.project.folder
        known = [folder / "conftest.py", self.test_path.with_name("__init__.py")]
        on_top = folder.resolve() == self._import_root()
        if not on_top or any(path.exists() for path in known) or _has_pythonpath(folder):
            return []
        write_new(known[0], CONFTEST)
        return [f"wrote {known[0]}, so that pytest can import the app"]

    def _import_root(self) -> Path:
        levels = len(self.module.split(".")) - 1
        return self.path.parents[levels]


def _has_pythonpath(folder: Path) -> bool:
    for name in ("pytest.ini", "tox.ini", "setup.cfg"):
        if (file := folder / name).is_file() and "pythonpath" in file.read_text(encoding="utf-8"):
            return True
    pyproject = folder / "pyproject.toml"
    if not pyproject.is_file():
        return False
    options = tomllib.loads(pyproject.read_text(encoding="utf-8")).get("tool", {}).get("pytest", {})
    return "pythonpath" in {**options, **options.get("ini_options", {})}
