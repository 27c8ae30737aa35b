"""`doctor` and `config`: what they print, and with which code they end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from shell import Shell

APP = """
from asyncjobs import JobManager, MemoryAdapter, PostgresAdapter, WorkerGroup
jobs = JobManager(
    adapters={"main": PostgresAdapter(transactions=3), "memory": MemoryAdapter()},
    queues=["default", "email"],
    workers=[WorkerGroup(adapter="main", name="mails", queue="email", concurrency=5)],
)
"""


@pytest.fixture
def app(shell: Shell, dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An application and its database."""
    monkeypatch.setenv("ASYNCJOBS_DATABASE_URL", dsn.replace("postgres@", "postgres:hunter2@"))
    monkeypatch.setenv("ASYNCJOBS_APP", "ill_app")
    shell.write("ill_app.py", APP)


def test_a_diagnosis_is_in_words(shell: Shell, app: None) -> None:
    done = shell.run("doctor")
    assert done.code == 2  # the server of the tests does without fsync
    assert "main, schema asyncjobs\n" in done.out
    assert "  BAD      fsync is off.  [durability]\n" in done.out
    assert "           -> alter system set fsync = on; select pg_reload_conf();\n" in done.out
    assert "  warning  No worker group of the application names the queue default." in done.out
    assert "This is no PostgresAdapter but a MemoryAdapter" in done.out
    assert "hunter2" not in done.out
    quiet = shell.run("doctor", "--quiet")
    assert "\n  ok " in done.out
    assert "\n  ok " not in quiet.out


def test_a_diagnosis_is_one_json_document(shell: Shell, app: None) -> None:
    done = shell.run("doctor", "--json")
    found = json.loads(done.out)
    assert found["level"] == "bad"
    assert [adapter["name"] for adapter in found["adapters"]] == ["main", "memory"]
    assert found["adapters"][0]["schema"] == "asyncjobs"
    assert {"level", "what", "meaning", "advice", "check"} == set(
        found["adapters"][0]["findings"][0]
    )


def test_a_diagnosis_needs_no_app(shell: Shell, dsn: str) -> None:
    done = shell.run("doctor", "--dsn", dsn, "--schema", "other")
    assert done.code == 2
    assert "The schema 'other' is not in this database." in done.out
    assert "-> asyncjobs migrate" in done.out


def test_the_exit_code_is_that_of_the_worst_finding(shell: Shell, durable_dsn: str) -> None:
    assert shell.run("doctor", "--dsn", durable_dsn).code == 0
    shell.write("pyproject.toml", "[tool.asyncjobs]\nlisten = false\n")
    assert shell.run("doctor", "--dsn", durable_dsn).code == 1
    assert shell.run("doctor", "--dsn", "postgresql://127.0.0.1:1/x").code == 2


def test_a_schema_alone_is_refused_when_there_is_an_app(shell: Shell, app: None) -> None:
    done = shell.run("doctor", "--schema", "other")
    assert done.code == 2
    assert "--schema goes with --dsn" in done.err


def test_settings_are_shown_with_where_they_came_from(
    shell: Shell, app: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASYNCJOBS_CONCURRENCY", "20")
    monkeypatch.setenv("ASYNCJOBS_DASHBOARD_PASSWORD", "hunter2")
    done = shell.run("--set", "groups.mails.lease=60", "config")
    assert done.code == 0
    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    assert "app ill_app ASYNCJOBS_APP" in lines
    assert "transactions 3 the code" in lines
    after = lines[lines.index("group 0 (mails)") :]
    assert "concurrency 5 the code" in after
    assert "not used: 20 from ASYNCJOBS_CONCURRENCY" in after
    assert "lease 60.0 --set groups.mails.lease" in after
    assert "password *** ASYNCJOBS_DASHBOARD_PASSWORD" in lines
    assert "hunter2" not in done.out


def test_settings_are_one_json_document(shell: Shell, app: None) -> None:
    found = json.loads(shell.run("config", "--json").out)
    [line] = [
        each for each in found if each["scope"] == "adapter main" and each["name"] == "database_url"
    ]
    assert line["origin"] == "ASYNCJOBS_DATABASE_URL"
    assert ":***@" in line["value"]
    assert line["others"] == []


def test_without_an_app_the_settings_for_any_are_shown(shell: Shell) -> None:
    shell.write("pyproject.toml", "[tool.asyncjobs]\nlease = 45\n")
    done = shell.run("config")
    assert done.code == 0
    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    assert f"lease 45 {shell.folder}/pyproject.toml [tool.asyncjobs]" in lines


@pytest.mark.parametrize("verb", ["doctor", "config", "health", "init"])
def test_a_misspelt_setting_ends_every_command(
    shell: Shell, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASYNCJOBS_CONCURENCY", "5")
    done = shell.run(verb)
    assert done.code == 2
    assert "did you mean ASYNCJOBS_CONCURRENCY?" in done.err


def test_a_log_format_may_be_said_by_the_environment(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASYNCJOBS_LOG_FORMAT", "xml")
    done = shell.run("config")
    assert done.code == 2
    assert "ASYNCJOBS_LOG_FORMAT must be one of auto, pretty, json, got 'xml'" in done.err
    monkeypatch.setenv("ASYNCJOBS_LOG_FORMAT", "json")
    assert "json" in shell.run("config").out
