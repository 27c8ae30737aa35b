"""``init``: the first lines of an app's jobs."""

import re
from pathlib import Path
from typing import Annotated

import typer

from asyncjobs.cli.files import line_end, module_name, write_new
from asyncjobs.cli.templates import APP
from asyncjobs.errors import AppNotFoundError, ConfigError
from asyncjobs.project import Project, configured_app, parse_toml
from asyncjobs.reference import AppReference

TABLE = re.compile(r"^\[tool\.asyncjobs\][^\n]*\n?", re.MULTILINE)


def init(
    path: Annotated[
        Path | None,
        typer.Argument(
            help="The module to write.",
            show_default="app/jobs.py if there is an app package, else jobs.py",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the module.")] = False,
) -> None:
    """Write a module with a JobManager and a first job, and name it in pyproject.toml."""
    project = Project.find()
    module = _default_path(project) if path is None else path.absolute()
    app = f"{_own_name(module, project.folder)}:jobs"
    write_new(module, APP.substitute(), force=force)
    print(f"wrote {_shown(module)}")
    print(_configure(project, app))
    print(_next_steps(app, "" if _is_found(app) else f" --app {app}"))


def _default_path(project: Project) -> Path:
    package = project.folder / "app"
    return (package if any(package.glob("*.py")) else project.folder) / "jobs.py"


def _own_name(module: Path, folder: Path) -> str:
    """Return by which name *module* is imported. Raises ConfigError if another is, in its place."""
    name = module_name(module, folder)
    if name.partition(".")[0] == "asyncjobs":
        raise ConfigError(
            f"{module} cannot be imported beside this package, which is named asyncjobs too; "
            "give another path"
        )
    if (module.with_suffix("") / "__init__.py").exists():
        raise ConfigError(
            f"{module} cannot be imported: the package {module.stem} beside it is, by that name; "
            "give another path"
        )
    return name


def _configure(project: Project, app: str) -> str:
    """Name *app* in pyproject.toml and return what to tell about it."""
    if project.pyproject is None:
        new = project.folder / "pyproject.toml"
        write_new(new, _with_app("", app))
        return f'wrote {new.name}, which says [tool.asyncjobs] app = "{app}"'
    text = project.pyproject.read_text(encoding="utf-8")
    document = parse_toml(project.pyproject, text)
    if known := configured_app(document):
        problem = "" if known == app else f"; change that to {app!r} to use the new module"
        return f"{project.pyproject.name} already says app = {known!r}{problem}"
    changed = _with_app(text, app)
    try:
        fits = configured_app(parse_toml(project.pyproject, changed)) == app
    except ConfigError:
        fits = False
    if not fits:  # written in a way that a line of text cannot be added to
        return f'add to {project.pyproject.name}, in the table tool.asyncjobs: app = "{app}"'
    ending = line_end(project.pyproject)
    project.pyproject.write_text(changed, encoding="utf-8", newline=ending)
    return f'added [tool.asyncjobs] app = "{app}" to {project.pyproject.name}'


def _with_app(text: str, app: str) -> str:
    line = f'app = "{app}"\n'
    if header := TABLE.search(text):
        before = text[: header.end()]
        return before + ("" if before.endswith("\n") else "\n") + line + text[header.end() :]
    gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
    return f"{text}{gap}[tool.asyncjobs]\n{line}"


def _shown(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _is_found(app: str) -> bool:
    """Return whether *app* is what commands work with that are not told of any."""
    try:
        return str(AppReference.find(None)) == app
    except AppNotFoundError:
        return False


def _next_steps(app: str, option: str) -> str:
    module, _, attribute = app.partition(":")
    width = 39 + len(option)
    run, write = f"asyncjobs{option} dev", f"asyncjobs{option} generate job send_invoice"
    return f"""
next:
  {run:<{width}}  runs the jobs; without a database, on one of its own
  {write:<{width}}  writes another job and its test
in a FastAPI app:
  from {module} import {attribute}
  app = FastAPI(lifespan={attribute}.lifespan())
with a database of yours, set ASYNCJOBS_DATABASE_URL, then:
  asyncjobs{option} migrate && asyncjobs{option} work"""
