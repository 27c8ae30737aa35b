"""Settings come from five places in one order, and what makes no sense is refused."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from asyncjobs import (
    Capabilities,
    ConfigError,
    DatabaseNotConfiguredError,
    JobManager,
    MemoryAdapter,
    PostgresAdapter,
    UnknownSettingError,
    WorkerGroup,
)
from asyncjobs.cli.config import lines
from asyncjobs.cli.settings import Settings
from asyncjobs.settings import mask, mask_dsn, override
from asyncjobs.settings.catalogue import BY_VARIABLE, OF_GROUPS, PREFIX, SETTINGS, of
from asyncjobs.settings.sources import read_sources
from asyncjobs.storage.postgres.source import find_dsn

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "settings.md"


@pytest.fixture(autouse=True)
def empty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the environment nor a pyproject.toml says anything."""
    for name in ("ASYNCJOBS_DATABASE_URL", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ASYNCJOBS_SET", "")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def pyproject(tmp_path: Path) -> Callable[[str], None]:
    """Writes pyproject.toml."""

    def write(text: str) -> None:
        (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")

    return write


def group(**options: Any) -> WorkerGroup:
    return WorkerGroup(adapter="memory", **options)


def manager(*groups: WorkerGroup) -> JobManager:
    return JobManager(adapters={"memory": MemoryAdapter()}, workers=groups)


# The order


def test_each_place_counts_before_the_next(
    monkeypatch: pytest.MonkeyPatch, pyproject: Callable[[str], None]
) -> None:
    assert group().concurrency == 10
    pyproject("[tool.asyncjobs]\nconcurrency = 11\n")
    assert group().concurrency == 11
    monkeypatch.setenv("ASYNCJOBS_CONCURRENCY", "12")
    assert group().concurrency == 12
    assert group(concurrency=13).concurrency == 13
    override(["concurrency=14"])
    found = group(concurrency=13)
    assert found.concurrency == 14
    resolved = found.resolved["concurrency"]
    assert resolved.origin == "--set concurrency"
    assert [each.value for each in resolved.others] == [13, 12, 11]


@pytest.mark.parametrize("place", ["set", "environment", "file"])
def test_in_each_place_what_is_said_for_one_group_counts_first(
    place: str, monkeypatch: pytest.MonkeyPatch, pyproject: Callable[[str], None]
) -> None:
    if place == "set":
        override(["concurrency=20", "groups.e-mail.concurrency=5"])
    elif place == "environment":
        monkeypatch.setenv("ASYNCJOBS_CONCURRENCY", "20")
        monkeypatch.setenv("ASYNCJOBS_GROUP_E_MAIL_CONCURRENCY", "5")
    else:
        pyproject(
            "[tool.asyncjobs]\nconcurrency = 20\n[tool.asyncjobs.groups.e-mail]\nconcurrency = 5\n"
        )
    jobs = manager(group(name="e-mail"), group(name="rest"), group())
    assert [each.concurrency for each in jobs.workers] == [5, 20, 20]


def test_a_place_that_comes_first_does_so_even_if_another_speaks_of_one_group(
    monkeypatch: pytest.MonkeyPatch, pyproject: Callable[[str], None]
) -> None:
    pyproject("[tool.asyncjobs.groups.email]\nlease = 90\n")
    monkeypatch.setenv("ASYNCJOBS_LEASE", "60")
    assert group(name="email").lease == 60


def test_the_code_means_what_it_says_even_if_it_says_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ASYNCJOBS_CONCURRENCY", "12")
    assert group(concurrency=10).concurrency == 10


def test_two_options_that_belong_together_are_checked_as_they_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ASYNCJOBS_LEASE", "90")
    assert group(heartbeat_interval=30).lease == 90


def test_every_option_of_a_group_can_be_said_by_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = {
        "queue": ("email, reports", ["email", "reports"]),
        "count": ("3", 3),
        "concurrency": ("4", 4),
        "threads": ("none", None),
        "processes": ("2", 2),
        "max_attempts": ("5", 5),
        "max_runtime": ("6.5", 6.5),
        "delete_failed_jobs": ("yes", True),
        "delete_successful_jobs": ("off", False),
        "retain": ("3600", 3600.0),
        "max_result": ("100", 100),
        "sleep_delay": ("0.5", 0.5),
        "lease": ("45", 45.0),
        "heartbeat_interval": ("3", 3.0),
        "shutdown_timeout": ("0", 0.0),
        "kill_stuck": ("1", True),
        "mend_tables": ("on", True),
        "log_jobs": ("0.25", 0.25),
        "log_arguments": ("true", True),
    }
    assert set(said) == set(OF_GROUPS)
    for name, (text, _) in said.items():
        monkeypatch.setenv(f"ASYNCJOBS_{name.upper()}", text)
    found = group()
    assert {name: getattr(found, name) for name in said} == {
        name: value for name, (_, value) in said.items()
    }


async def test_every_option_of_an_adapter_can_be_said_by_pyproject(
    pyproject: Callable[[str], None], dsn: str
) -> None:
    pyproject(
        f"""[tool.asyncjobs]
        database_url = "{dsn}"
        schema = "asyncjobs"
        listen = false
        listen_dsn = "postgresql://direct/db"
        transactions = 3
        connect = {{ server_settings = {{ work_mem = "5MB" }} }}
        capabilities = {{ notify = false }}
        """
    )
    adapter = PostgresAdapter()
    assert set(adapter.resolved) == {each.name for each in of("adapter")} - {"database_url"}
    await adapter.open()
    try:
        async with adapter.transaction() as connection:
            assert await connection.fetchval("show work_mem") == "5MB"
        health = await adapter.overview.health()
    finally:
        await adapter.close()
    assert health is not None
    assert not health.notifies


def test_what_an_adapter_cannot_do_with_a_pool_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Pool:
        def get_max_size(self) -> int:
            return 20

    monkeypatch.setenv("ASYNCJOBS_CONNECT", '{"ssl": "require"}')
    monkeypatch.setenv("ASYNCJOBS_DATABASE_URL", "postgresql://nowhere/x")
    adapter = PostgresAdapter(pool=Pool())  # type: ignore[arg-type]
    assert adapter.access.address is None


def test_an_address_in_the_code_counts_before_that_of_the_shell(
    monkeypatch: pytest.MonkeyPatch, pyproject: Callable[[str], None]
) -> None:
    with pytest.raises(DatabaseNotConfiguredError):
        find_dsn(None)
    pyproject('[tool.asyncjobs]\ndatabase_url = "postgresql://file/x"\n')
    assert find_dsn(None) == "postgresql://file/x"
    monkeypatch.setenv("DATABASE_URL", "postgresql+asyncpg://theirs/x")
    assert find_dsn(None) == "postgresql://theirs/x"
    monkeypatch.setenv("ASYNCJOBS_DATABASE_URL", "")
    assert find_dsn(None) == "postgresql://theirs/x"
    monkeypatch.setenv("ASYNCJOBS_DATABASE_URL", "postgresql://ours/x")
    assert find_dsn(None) == "postgresql://ours/x"
    assert find_dsn("postgresql://code/x") == "postgresql://code/x"


def test_capabilities_may_be_a_mapping() -> None:
    adapter = PostgresAdapter(capabilities={"notify": False})
    assert adapter.access.wanted == Capabilities(notify=False)
    with pytest.raises(ConfigError, match="did you mean 'notify'"):
        PostgresAdapter(capabilities={"notfy": False})
    with pytest.raises(ConfigError, match="True or False each, got notify=1"):
        PostgresAdapter(capabilities={"notify": 1})  # type: ignore[dict-item]


# What is refused


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("ASYNCJOBS_CONCURENCY", "ASYNCJOBS_CONCURRENCY"),
        ("ASYNCJOBS_DATABSE_URL", "ASYNCJOBS_DATABASE_URL"),
        ("ASYNCJOBS_DASHBOARD_PASWORD", "ASYNCJOBS_DASHBOARD_PASSWORD"),
        ("ASYNCJOBS_GROUP_EMAIL_CONCURENCY", "ASYNCJOBS_GROUP_<NAME>_CONCURRENCY"),
    ],
)
def test_an_unknown_variable_is_answered_with_the_nearest(
    name: str, near: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "1")
    for make in (group, PostgresAdapter):
        with pytest.raises(UnknownSettingError, match=f"unknown setting '{name}'") as caught:
            make()
        assert f"did you mean {near}?" in str(caught.value)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("concurency = 5", "unknown setting 'concurency' in .*did you mean concurrency"),
        ("groups.email.leese = 5", r"tool.asyncjobs.groups.email\]; did you mean lease"),
        ("dashboard.prt = 5", "did you mean port"),
        ("dashboard.password = 'x'", "is for the environment: ASYNCJOBS_DASHBOARD_PASSWORD"),
        ("database_url = 'postgresql://me:secret@db/x'", "put it into ASYNCJOBS_DATABASE_URL"),
        ("concurrency = '5'", "concurrency must be a whole number, got '5'"),
        ("concurrency = true", "concurrency must be a whole number, got True"),
        ("listen = 1", "listen must be true or false, got 1"),
        ("groups = 5", "groups must be a table, got 5"),
        ("groups.email = 5", "email must be a table, got 5"),
        ("log_format = 'xml'", "must be one of auto, pretty, json, got 'xml'"),
    ],
)
def test_what_pyproject_cannot_say_is_refused(
    table: str, message: str, pyproject: Callable[[str], None]
) -> None:
    pyproject(f"[tool.asyncjobs]\n{table}\n")
    with pytest.raises(ConfigError, match=message) as caught:
        group()
    assert "pyproject.toml" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("concurency=5", "did you mean concurrency"),
        ("groups.email.leese=5", "did you mean groups.email.lease"),
        ("concurrency", "takes NAME=VALUE, got 'concurrency'"),
        ("concurrency=many", "--set concurrency must be a whole number, got 'many'"),
        ("database_url=postgresql://x", "does not take database_url: put it into ASYNC"),
        ("dashboard.password=x", "does not take dashboard.password"),
    ],
)
def test_what_cannot_be_set_is_refused(word: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        override([word])


def test_a_value_that_is_none_is_refused_with_its_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ASYNCJOBS_LEASE", "long")
    with pytest.raises(ConfigError, match="ASYNCJOBS_LEASE must be a number, got 'long'"):
        PostgresAdapter()  # also where it is of no use: at the earliest moment


def test_a_value_out_of_bounds_is_refused_with_bound_and_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ASYNCJOBS_CONCURRENCY", "0")
    monkeypatch.setenv("ASYNCJOBS_TRANSACTIONS", "0")
    for make, option in ((group, "concurrency"), (PostgresAdapter, "transactions")):
        with pytest.raises(ConfigError) as caught:
            make()
        assert str(caught.value).startswith(f"{option} must be a whole number from 1 to ")
        assert str(caught.value).endswith(f"got 0 (from ASYNCJOBS_{option.upper()})")


def test_a_secret_that_cannot_be_read_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASYNCJOBS_CONNECT", "password=hunter2")
    with pytest.raises(ConfigError, match="ASYNCJOBS_CONNECT must be a JSON object") as caught:
        group()
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("place", ["set", "environment", "file"])
def test_a_group_that_there_is_not_is_refused(
    place: str, monkeypatch: pytest.MonkeyPatch, pyproject: Callable[[str], None]
) -> None:
    if place == "set":
        override(["groups.emial.lease=60"])
    elif place == "environment":
        monkeypatch.setenv("ASYNCJOBS_GROUP_EMIAL_LEASE", "60")
    else:
        pyproject("[tool.asyncjobs.groups.emial]\nlease = 60\n")
    with pytest.raises(UnknownSettingError, match=r"did you mean .*(email|EMAIL)"):
        manager(group(name="email"))
    manager()  # one that only schedules knows of no group


@pytest.mark.parametrize("names", [("a", "a"), ("a.b", "a-b")])
def test_groups_that_the_environment_cannot_tell_apart_are_refused(names: list[str]) -> None:
    with pytest.raises(ConfigError, match="two worker groups are named"):
        manager(*(group(name=name) for name in names))


@pytest.mark.parametrize("name", ["", "a b", "é", "x" * 101, 5])
def test_a_name_of_a_group_that_cannot_be_is_refused(name: Any) -> None:
    with pytest.raises(ConfigError, match="name must be of 1 to 100 letters"):
        group(name=name)


def test_a_name_is_what_the_group_is_called() -> None:
    assert group(name="email", queue="a").label == "email"
    assert group(queue=["a", "b"]).label == "a,b"


def test_what_kubernetes_says_of_services_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "ASYNCJOBS_SERVICE_HOST": "10.0.0.1",
        "ASYNCJOBS_SERVICE_PORT": "80",
        "ASYNCJOBS_SERVICE_PORT_HTTP": "80",
        "ASYNCJOBS_PORT": "tcp://10.0.0.1:80",
        "ASYNCJOBS_PORT_80_TCP": "tcp://10.0.0.1:80",
        "ASYNCJOBS_PORT_80_TCP_PROTO": "tcp",
        "ASYNCJOBS_DASHBOARD_PORT": "tcp://10.0.0.2:8765",
        "ASYNCJOBS_DASHBOARD_SERVICE_HOST": "10.0.0.2",
    }.items():
        monkeypatch.setenv(name, value)
    assert group().concurrency == 10
    assert "dashboard.port" not in read_sources().environment.general


# The catalogue


def test_the_catalogue_has_every_option_of_groups_and_adapters() -> None:
    fields = {field.name for field in dataclasses.fields(WorkerGroup)}
    assert {each.name for each in of("group")} == fields - {"adapter", "name"}
    options = set(inspect.signature(PostgresAdapter).parameters)
    in_catalogue = {each.name for each in of("adapter")}
    assert in_catalogue == options - {"pool", "dsn"} | {"database_url"}


def test_no_variable_of_a_group_can_be_read_in_two_ways() -> None:
    endings = [f"_{name.upper()}" for name in OF_GROUPS]
    for ending in endings:
        assert [other for other in endings if ending.endswith(other)] == [ending]


def test_every_variable_that_the_code_or_a_page_names_is_known() -> None:
    files = [*(ROOT / "asyncjobs").rglob("*.py"), *(ROOT / "docs").glob("*.md")]
    found = {
        name
        for path in [*files, ROOT / "README.md"]
        for name in re.findall(rf"\b{PREFIX}[A-Z][A-Z_]*[A-Z]\b", path.read_text(encoding="utf-8"))
    }
    wrong = {"ASYNCJOBS_CONCURENCY", "ASYNCJOBS_SERVICE_HOST", "ASYNCJOBS_PORT"}  # told of as such
    names = "GROUP_EMAIL_CONCURRENCY", "SET", "GROUP", "TEST"
    assert found - wrong - {f"{PREFIX}{name}" for name in names} <= set(BY_VARIABLE)


def test_the_page_has_every_setting_as_the_code_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ASYNCJOBS_POSTGRES_BIN", raising=False)  # as `make matrix` sets it
    text = PAGE.read_text(encoding="utf-8").partition("<!-- settings -->\n")[2]
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    scopes = {"command": "commands", "adapter": "adapters", "group": "groups"}
    shown = {(line.scope, line.name): line.value for line in lines(Settings(), None)}
    expected = []
    for setting in SETTINGS:
        default = shown[scopes.get(setting.owner, setting.owner), setting.name]
        text = default if isinstance(default, str) else json.dumps(default)
        variables = ", ".join(f"`{name}`" for name in setting.variables)
        what = setting.kind.what + (" or `none`" if setting.kind.optional else "")
        text = "none" if default is None else text
        expected.append(f"| `{setting.key}` | {variables} | {what} | `{text}` |")
    assert rows == expected


def test_the_defaults_that_are_shown_for_adapters_are_those_of_the_code() -> None:
    parameters = inspect.signature(PostgresAdapter).parameters
    for line in lines(Settings(), None):
        if line.scope == "adapters" and line.name != "database_url":
            assert line.value == parameters[line.name].default


# Secrets


@pytest.mark.parametrize(
    ("dsn", "masked"),
    [
        ("postgresql://me:pw@db/x", "postgresql://me:***@db/x"),
        ("postgresql://me:p:w@d@db:5/x?a=b", "postgresql://me:***@db:5/x?a=b"),
        ("postgresql://me:p/w?#@db/x", "postgresql://me:***@db/x"),
        ("postgresql://me@db/x", "postgresql://me@db/x"),
        ("postgresql://db/x?user=me&password=pw&ssl=on", "postgresql://db/x?user=me&password=***&ssl=on"),
        ("postgresql://db/x?sslpassword=pw", "postgresql://db/x?sslpassword=***"),
        ("host=db password='a b' user=me", "host=db password=*** user=me"),
        ("password=pw", "password=***"),
        ("", ""),
    ],
)  # fmt: skip
def test_passwords_are_masked(dsn: str, masked: str) -> None:
    assert mask_dsn(dsn) == masked


def test_passwords_in_mappings_are_masked() -> None:
    given = {"password": "x", "ssl": "require", "server_settings": {"app.secret_key": "y", "a": 1}}
    assert mask(given) == {
        "password": "***",
        "ssl": "require",
        "server_settings": {"app.secret_key": "***", "a": 1},
    }


# The command


def test_processes_that_a_command_starts_get_what_was_set(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "import subprocess, sys\n"
        "from asyncjobs import WorkerGroup\n"
        "from asyncjobs.settings import override\n"
        "if len(sys.argv) == 1:\n"
        "    override(['concurrency=7'])\n"
        "    subprocess.run([sys.executable, __file__, 'child'], check=True)\n"
        "else:\n"
        "    print(WorkerGroup(adapter='x', concurrency=3).concurrency)\n"
    )
    command = [sys.executable, str(tmp_path / "program.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout == "7\n"
