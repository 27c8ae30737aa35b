"""The documentation is true: its code runs, its defaults are the code's, its links lead on.

A Python block that begins with a file name (``# app.py``) is a file of its page: all files of
a page lie in one folder, and its ``test_*.py`` are run by pytest there. All other blocks of a
page are run one after the other, as one program that may use what `surroundings` defines.
What begins with the name of another library (``# Celery``) is compiled only.
"""

from __future__ import annotations

import ast
import builtins
import configparser
import importlib.util
import inspect
import os
import re
import shlex
import subprocess
import sys
import textwrap
import tomllib
from contextlib import asynccontextmanager
from dataclasses import MISSING, dataclass, fields
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import anyio
import asyncpg
import httpx
import pytest
import typer
import yaml
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from asyncjobs import (
    JobFilter,
    JobManager,
    NotPermittedError,
    PostgresAdapter,
    WorkerGroup,
    current_job,
    errors,
)
from asyncjobs.definition import DefinitionOptions, JobOptions
from asyncjobs.options import LaterOptions
from asyncjobs.schedules import OWN_OPTIONS
from asyncjobs.storage.postgres.listener import PROBE_INTERVAL, PROBE_TIMEOUT
from asyncjobs.storage.postgres.source import LANES
from asyncjobs.worker.cancellations import INTERVAL
from asyncjobs.worker.deadlines import STUCK_GRACE
from asyncjobs.worker.process import STUCK_EXIT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

ROOT = Path(__file__).parents[1]
README, DOCS = ROOT / "README.md", ROOT / "docs"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
PAGES = [
    README,
    ROOT / "CHANGELOG.md",
    ROOT / "SECURITY.md",
    CONTRIBUTING,
    *sorted(DOCS.glob("*.md")),
]
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
FILE_NAME = re.compile(r"\A# (\w+\.py)\n")
OTHERS = ["Celery", "arq", "RQ", "Dramatiq", "Procrastinate", "BackgroundTasks"]
PATIENCE = 20.0
NOTHING = object()


@dataclass(frozen=True)
class Block:
    page: Path
    line: int
    language: str
    text: str

    @property
    def file_name(self) -> str | None:
        found = FILE_NAME.match(self.text)
        return found.group(1) if found else None

    @property
    def is_theirs(self) -> bool:
        """Whether it shows how another library does it."""
        return self.text.startswith(tuple(f"# {name}\n" for name in OTHERS))

    def compile(self) -> Any:
        """Compile it where it stands in its page, so that a traceback points there."""
        return compile(
            "\n" * self.line + self.text,
            str(self.page),
            "exec",
            flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
            dont_inherit=True,
        )


@cache
def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


@cache
def blocks_of(page: Path, language: str = "python") -> list[Block]:
    text = text_of(page)
    return [
        Block(page, text.count("\n", 0, found.start(3)), found.group(2), dedented(found))
        for found in FENCE.finditer(text)
        if found.group(2) == language
    ]


def dedented(found: re.Match[str]) -> str:
    return textwrap.dedent(found.group(3))


def files_of(page: Path) -> dict[str, str]:
    return {block.file_name: block.text for block in blocks_of(page) if block.file_name}


def fragments_of(page: Path) -> list[Block]:
    return [block for block in blocks_of(page) if not (block.file_name or block.is_theirs)]


def prose_of(page: Path) -> str:
    return FENCE.sub("", text_of(page))


def write_files(page: Path, folder: Path) -> None:
    for name, text in files_of(page).items():
        (folder / name).write_text(text, encoding="utf-8")


def name_of(value: object) -> str:
    return value.stem if isinstance(value, Path) else str(value)


every_page = pytest.mark.parametrize("page", PAGES, ids=name_of)


# The code


@every_page
def test_every_python_block_compiles(page: Path) -> None:
    for block in blocks_of(page):
        block.compile()


@pytest.mark.parametrize("page", [page for page in PAGES if fragments_of(page)], ids=name_of)
async def test_the_fragments_of_a_page_run_in_their_order(
    page: Path, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType(f"page_{page.stem}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    async with surroundings(dsn) as names:
        jobs: JobManager = names["jobs"]
        vars(module).update(names)
        for block in fragments_of(page):
            running = eval(block.compile(), vars(module))
            if inspect.iscoroutine(running):
                await running
        await jobs.workoff()
        counts = await jobs.adapters["postgres"].counts()
    told = {"failed"} if page.stem == "results" else set()  # it shows a failure on purpose
    assert {state for _, state in counts} <= {"succeeded", "scheduled", "cancelled"} | told


@asynccontextmanager
async def surroundings(dsn: str) -> AsyncIterator[dict[str, Any]]:
    """What the fragments of a page may use without having defined it."""
    jobs = JobManager(
        adapters={"postgres": PostgresAdapter(dsn)},
        queues=["default", "email", "reports"],
        workers=[WorkerGroup(adapter="postgres", delete_successful_jobs=False)],
    )

    @jobs.job(queue="email", priority=10)
    async def send_welcome_email(user_id: int) -> None: ...

    class Base(DeclarativeBase):
        pass

    class User(Base):
        __tablename__ = "users"
        id: Mapped[int] = mapped_column(primary_key=True)
        email: Mapped[str]

    engine = create_async_engine(dsn.replace("postgresql://", "postgresql+asyncpg://"))
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with asyncpg.create_pool(dsn, min_size=1, max_size=10) as pool, jobs:
        yield {
            "jobs": jobs,
            "later": jobs.create_scheduler(adapter="postgres"),
            "send_welcome_email": send_welcome_email,
            "current_job": current_job,
            "pool": pool,
            "Session": async_sessionmaker(engine),
            "User": User,
        }
    await engine.dispose()


def pages_with_tests() -> list[Path]:
    return [page for page in PAGES if any(name.startswith("test_") for name in files_of(page))]


@pytest.mark.parametrize("page", pages_with_tests(), ids=name_of)
def test_the_tests_that_a_page_shows_pass(page: Path, dsn: str, tmp_path: Path) -> None:
    write_files(page, tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n", encoding="utf-8")
    shown = [name for name in files_of(page) if name.startswith("test_")]
    output = run_python("-m", "pytest", "-q", "-p", "no:cacheprovider", folder=tmp_path, dsn=dsn)
    assert re.search(r"^\d+ passed", output, re.MULTILINE), output
    assert shown


def run_python(*arguments: str, folder: Path, dsn: str) -> str:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")
    }
    environment |= {"ASYNCJOBS_DATABASE_URL": dsn, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture
def quick_start(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The README's ``app.py``, imported."""
    monkeypatch.setenv("ASYNCJOBS_DATABASE_URL", dsn)
    write_files(README, tmp_path)
    spec = importlib.util.spec_from_file_location("readme_app", tmp_path / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "readme_app", module)
    spec.loader.exec_module(module)
    return module


async def test_the_quick_start_runs_a_job_that_its_route_stores(quick_start: ModuleType) -> None:
    app = quick_start.app
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://test") as client,
    ):
        answer = await client.post("/users/7/welcome")
        assert answer.status_code == 202
        with anyio.fail_after(PATIENCE):
            while (await state_of(client, answer.json()["job"])) != "succeeded":
                await anyio.sleep(0.01)
        assert await state_of(client, 0) == "gone"


async def state_of(client: httpx.AsyncClient, job_id: int) -> str:
    answer = await client.get(f"/jobs/{job_id}")
    state: str = answer.json()["state"]
    return state


async def test_the_quick_starts_plain_function_runs_in_a_worker(quick_start: ModuleType) -> None:
    async with quick_start.jobs as jobs:
        job = await quick_start.later(quick_start.make_report("2031-01"))
        assert await jobs.workoff() == 1
        record = await quick_start.later.get(job.id)
    assert record.state == "succeeded"


def test_the_commands_of_the_quick_start_work(empty_dsn: str, tmp_path: Path) -> None:
    write_files(README, tmp_path)
    command = ("-m", "asyncjobs", "--app", "app:jobs")
    assert "applied" in run_python(*command, "migrate", folder=tmp_path, dsn=empty_dsn)
    assert "up to date" in run_python(*command, "migrate", folder=tmp_path, dsn=empty_dsn)
    assert "0 jobs run" in run_python(*command, "workoff", folder=tmp_path, dsn=empty_dsn)


def test_what_is_shown_of_others_stands_on_the_pages_about_moving() -> None:
    theirs = [block for page in PAGES for block in blocks_of(page) if block.is_theirs]
    assert len(theirs) == len(OTHERS)
    assert all(block.page.stem.startswith("moving-") for block in theirs)


# The SQL


async def test_the_grants_suffice_to_schedule_and_to_work(dsn: str) -> None:
    async with roles(dsn, sql_file("grants.sql")) as (web, worker):
        async with manager_of(dsn, web) as (jobs, later):
            job = await later(jobs.registry["greet"]("Ada"))
            waiting = await later(jobs.registry["greet"]("Bob"), wait=60)
            assert await later.cancel(waiting.id)
            assert (await later.get(job.id)).state == "available"
            with pytest.raises(NotPermittedError):
                await jobs.clear()
        async with manager_of(dsn, worker) as (jobs, _):
            assert await jobs.workoff() == 1
            assert await jobs.clear() == 1


async def test_the_page_on_the_database_has_every_table(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    names = "select tablename from pg_tables where schemaname = 'asyncjobs'"
    real = {row["tablename"] for row in await connection.fetch(names)}
    await connection.close()
    _, _, table = text_of(DOCS / "database.md").partition("| table | holds |")
    told = re.findall(r"^\| `(\w+)` \|", table.split("\n\n")[0], re.MULTILINE)
    assert sorted(told) == sorted(real)


async def test_pruning_removes_only_old_rows_that_ended(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    insert = """insert into asyncjobs.jobs (position, run_at, state, name, queue, args, finished_at)
        values (0, now(), $1, 'greet', 'default', '{}', now() - $2 * interval '1 day')"""
    for state, days in (("failed", 31), ("succeeded", 31), ("cancelled", 29), ("available", None)):
        await connection.execute(insert, state, days)
    await connection.execute(sql_file("prune.sql"))
    left = await connection.fetch("select state from asyncjobs.jobs order by id")
    await connection.close()
    assert [row["state"] for row in left] == ["cancelled", "available"]


async def test_the_sql_of_the_page_on_sql_stores_jobs_that_run(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    blocks = [block.text for block in blocks_of(DOCS / "sql.md", "sql")]
    for block in blocks:
        if not block.startswith("-- grants.sql"):
            await connection.execute(block)
    rows = await connection.fetch("select state, args from asyncjobs.jobs order by id")
    await connection.close()
    assert [(row["state"], row["args"]) for row in rows] == [
        ("available", '{"order_id": 7}'),
        ("scheduled", '{"copies": 2, "order_id": 8}'),
        ("scheduled", '{"order_id": 9}'),
        ("available", '{"order_id": 1}'),
    ]


@pytest.mark.parametrize(
    "block",
    [block for page in PAGES for block in blocks_of(page, "sql") if page.stem != "sql"],
    ids=lambda block: f"{block.page.stem}-{block.line}",
)
async def test_the_sql_of_all_other_pages_is_understood(block: Block, dsn: str) -> None:
    if block.text.startswith("-- grants.sql\n"):
        pytest.skip("it names roles: another test makes them")
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(block.text)
    finally:
        await connection.close()


async def test_the_grants_suffice_to_enqueue_by_sql_and_each_part_does_for_its_options(
    dsn: str,
) -> None:
    grants = sql_file("grants.sql", "sql.md").strip().splitlines()
    role = f"app_orders_{uuid4().hex[:8]}"
    plain = "select asyncjobs.enqueue('greet', unique_key => 'k')"
    rest = """select asyncjobs.enqueue('greet', concurrency_key => 'k');
        select asyncjobs.enqueue('greet', unique_key => 'k', on_conflict => 'replace');
        select asyncjobs.enqueue('greet', unique_key => 'k', unique_for => '1 hour')"""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(f"create role {role}; grant {role} to current_user")
    except asyncpg.InsufficientPrivilegeError as error:
        pytest.skip(f"the test server's user cannot create roles: {error}")
    try:
        for lines, allowed, refused in ((grants[:5], plain, rest.split(";")), (grants, rest, [])):
            await connection.execute("\n".join(lines).replace("app_orders", role))
            await connection.execute(f"set role {role}")
            await connection.execute(allowed)
            for statement in refused:
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(statement)
            await connection.execute("reset role")
    finally:
        await connection.execute(f"reset role; drop owned by {role}; drop role {role}")
        await connection.close()


async def test_the_parameters_of_enqueue_are_those_of_the_function(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    told = await connection.fetchval(
        "select pg_get_function_arguments('asyncjobs.enqueue'::regproc)"
    )
    await connection.close()
    _, _, table = text_of(DOCS / "sql.md").partition("<!-- options: enqueue -->\n")
    shown = []
    for name, kind, default in cells_of(table):
        ending = f" DEFAULT {default.strip('`')}" if default else ""
        shown.append(f"{name.strip('`')} {kind}{ending}")
    real = re.sub(r"::\w+(?: \w+)*(?:\[\])?", "", told).replace("NULL", "null")
    real = re.sub(r"null( with time zone)", "null", real)
    assert shown == real.split(", ")


def sql_file(name: str, page: str = "database.md") -> str:
    [text] = [
        block.text
        for block in blocks_of(DOCS / page, "sql")
        if block.text.startswith(f"-- {name}\n")
    ]
    return text


@asynccontextmanager
async def roles(dsn: str, grants: str) -> AsyncIterator[tuple[str, str]]:
    """The two roles that *grants* speaks of, under names that nobody else has."""
    ending = uuid4().hex[:8]
    names = (f"app_web_{ending}", f"app_worker_{ending}")
    owner = await asyncpg.connect(dsn)
    try:
        for name in names:
            await owner.execute(f"create role {name}; grant {name} to current_user")
        await owner.execute(re.sub(r"\bapp_(web|worker)\b", rf"app_\1_{ending}", grants))
        yield names
    except asyncpg.InsufficientPrivilegeError as error:
        if "create role" in str(error):
            pytest.skip(f"the test server's user cannot create roles: {error}")
        raise
    finally:
        for name in names:
            if await owner.fetchval("select true from pg_roles where rolname = $1", name):
                await owner.execute(f"drop owned by {name}; drop role {name}")
        await owner.close()


@asynccontextmanager
async def manager_of(dsn: str, role: str) -> AsyncIterator[tuple[JobManager, Any]]:
    adapter = PostgresAdapter(dsn, connect={"server_settings": {"role": role}})
    jobs = JobManager(adapters={"main": adapter}, workers=[WorkerGroup(adapter="main")])

    @jobs.job
    async def greet(name: str) -> None: ...

    async with jobs:
        yield jobs, jobs.create_scheduler(adapter="main")


# What the tables say


def job_defaults() -> dict[str, object]:
    declared = set(DefinitionOptions.__annotations__)
    assert {"name", *(field.name for field in fields(JobOptions))} == declared
    return {"name": None} | dataclass_defaults(JobOptions)


def dataclass_defaults(kind: type) -> dict[str, object]:
    defaults = {field.name: field.default for field in fields(kind)}
    return {name: NOTHING if value is MISSING else value for name, value in defaults.items()}


def parameter_defaults(function: Callable[..., Any]) -> dict[str, object]:
    known = inspect.signature(function).parameters
    return {
        name: NOTHING if parameter.default is parameter.empty else parameter.default
        for name, parameter in known.items()
        if parameter.kind is parameter.KEYWORD_ONLY or name == "dsn"
    }


OPTION_TABLES = [
    ("jobs.md", "JobManager", lambda: parameter_defaults(JobManager)),
    ("jobs.md", "JobOptions", job_defaults),
    ("workers.md", "WorkerGroup", lambda: dataclass_defaults(WorkerGroup)),
    ("database.md", "PostgresAdapter", lambda: parameter_defaults(PostgresAdapter)),
    ("control.md", "JobFilter", lambda: dataclass_defaults(JobFilter)),
    ("dashboard.md", "dashboard", lambda: parameter_defaults(JobManager.dashboard)),
    ("metrics.md", "metrics", lambda: parameter_defaults(JobManager.metrics)),
    ("scheduling.md", "later", lambda: dict.fromkeys(LaterOptions.__annotations__)),
    ("recurring.md", "recurring", lambda: dict.fromkeys(OWN_OPTIONS)),
]


@pytest.mark.parametrize(("page", "name", "defaults"), OPTION_TABLES)
def test_the_options_and_their_defaults_are_those_of_the_code(
    page: str, name: str, defaults: Callable[[], dict[str, object]]
) -> None:
    _, _, table = text_of(DOCS / page).partition(f"<!-- options: {name} -->\n")
    rows = [cells for cells in cells_of(table) if len(cells) == 3]
    told = {option.strip("`"): default_of(default) for option, default, _ in rows}
    assert told == defaults()


def cells_of(table: str) -> Iterator[list[str]]:
    """The rows of the table that *table* begins with."""
    for line in table.splitlines()[2:]:
        if not line.startswith("|"):
            return
        yield [cell.strip() for cell in line.strip("|").split(" | ")]


def default_of(cell: str) -> object:
    return NOTHING if cell == "required" else ast.literal_eval(cell.strip("`"))


FIGURES = [
    ("concepts.md", r"sends itself a notification every (\d+) seconds", PROBE_INTERVAL),
    ("reliability.md", r"sends itself a notification every (\d+) s and waits", PROBE_INTERVAL),
    ("reliability.md", r"waits (\d+) s for it", PROBE_TIMEOUT),
    ("database.md", r"borrows up to (\d+) connections", LANES),
    ("deploy.md", r"borrows at most (\d+)", LANES),
    ("exactly-once.md", r"beyond the (\d+) that are kept", LANES),
    ("control.md", r"looks every ([\d.]+) s as long as", INTERVAL),
    ("database.md", r"looks every ([\d.]+) s, by a heartbeat", INTERVAL),
    ("workers.md", r"runs on (\d+) s after its cancellation is reported", STUCK_GRACE),
    ("workers.md", r"exit code (\d+), for `asyncjobs work`", STUCK_EXIT),
    ("cli.md", r"\| (\d+) \| `worker`, in a group with `kill_stuck`", STUCK_EXIT),
]


@pytest.mark.parametrize(("page", "told", "real"), FIGURES)
def test_the_figures_that_the_pages_tell_are_the_codes(page: str, told: str, real: float) -> None:
    [figure] = re.findall(told, text_of(DOCS / page))
    assert float(figure) == real


def error_classes() -> dict[str, type[Exception]]:
    return {
        name: value
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.AsyncJobsError)
    }


def test_every_error_is_explained() -> None:
    explained = set(re.findall(r"^\| `(\w+)` \|", text_of(DOCS / "errors.md"), re.MULTILINE))
    bases = {"AsyncJobsError", "ScheduleError", "AttemptError", "StorageError", "WaitingError"}
    assert explained - {"WorkerLost"} == set(error_classes()) - bases


def test_the_tree_of_errors_is_that_of_the_classes() -> None:
    [tree] = blocks_of(DOCS / "errors.md", "text")
    lines = re.findall(r"^([│├└─ ]*)(\w+)(?: \((\w+)\))?", tree.text, re.MULTILINE)
    branch: dict[int, type[Exception]] = {}
    for indent, name, other in lines:
        depth = len(indent) // 4
        branch[depth] = error_classes()[name]
        others = [getattr(builtins, other)] if other else []
        assert branch[depth].__bases__ == (branch.get(depth - 1, Exception), *others)
    assert {name for _, name, _ in lines} == set(error_classes())


def commands() -> list[tuple[str, Any]]:
    from asyncjobs.cli.main import cli

    return list(verbs("asyncjobs", typer.main.get_command(cli)))


def verbs(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "commands"):
        yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from verbs(f"{path} {name}", inner)


def test_every_command_and_its_options_are_described() -> None:
    text = text_of(DOCS / "cli.md")
    for path, command in commands():
        assert f"`{path}" in text, path
        for parameter in command.params:
            if not getattr(parameter, "hidden", False) and parameter.opts[0].startswith("--"):
                assert parameter.opts[0] in text, (path, parameter.opts)


def commands_shown() -> list[str]:
    blocks = [block.text for page in PAGES for block in blocks_of(page, "console")]
    return re.findall(r"^\$ asyncjobs (.*)", "\n".join(blocks), re.MULTILINE)


@pytest.mark.parametrize("line", commands_shown())
def test_every_command_that_is_shown_exists_and_takes_its_options(line: str) -> None:
    from asyncjobs.cli.main import cli

    words = shlex.split(line.partition(" > ")[0])
    parse(typer.main.get_command(cli), words)


def parse(command: Any, words: list[str]) -> None:
    """Read *words* as the command line does, without running it."""
    if "--help" in words[:1]:
        return
    context = command.make_context(command.name, list(words))
    if hasattr(command, "commands"):
        rest = [*getattr(context, "_protected_args", []), *context.args]
        _, inner, rest = command.resolve_command(context, rest)
        parse(inner, rest)


@pytest.mark.parametrize("wrong", ["wrok", "work --wrong", "--wrong work", "generate jbo"])
def test_a_command_or_an_option_that_does_not_exist_is_noticed(wrong: str) -> None:
    with pytest.raises(Exception, match=r"No such (command|option)"):
        test_every_command_that_is_shown_exists_and_takes_its_options(wrong)


def unit_of(text: str) -> configparser.ConfigParser:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.read_string(text)
    return unit


READ_BY = {"toml": tomllib.loads, "yaml": yaml.safe_load, "ini": unit_of}
CHECKED = {"python", "console", "sql", *READ_BY}
NOT_CHECKED = {
    "dockerfile": "needs Docker; `make test-package` does what its commands say",
    "go": "needs Go",
    "html": "part of a page, run by hand",
    "js": "needs a browser",
    "text": "no code",
}


@every_page
def test_every_block_is_of_a_language_that_is_checked_or_says_why_not(page: Path) -> None:
    languages = {found.group(2) for found in FENCE.finditer(text_of(page))}
    assert languages <= CHECKED | set(NOT_CHECKED)


@every_page
def test_every_configuration_can_be_read(page: Path) -> None:
    for language, read in READ_BY.items():
        for block in blocks_of(page, language):
            assert read(block.text), block


# What holds them together


@every_page
def test_relative_links_lead_to_a_heading_that_exists(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", prose_of(page)):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        if anchor:
            assert anchor in anchors_of(there), target


def anchors_of(page: Path) -> set[str]:
    """The anchors that GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.+)$", prose_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_leads_to_every_page() -> None:
    for page in PAGES[1:]:
        assert f"({page.relative_to(ROOT)})" in text_of(README)


@every_page
def test_nobody_is_told_to_install_the_package_of_somebody_else(page: Path) -> None:
    for command in re.findall(r"pip install ([^\n`]+)", text_of(page)):
        assert not re.search(r"\basyncjobs(?!-pg)", command), command


def test_what_make_is_told_to_do_it_can() -> None:
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    asked = set(re.findall(r"\$ make (\w+)", text_of(README)))
    assert asked == {"demo", "test"}
    asked |= set(re.findall(r"`make ([\w-]+)", "".join(text_of(page) for page in PAGES)))
    assert asked >= {"docs", "test-browser"}
    assert asked <= set(targets)
