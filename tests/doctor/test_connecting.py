"""What is in the way to a database, caused for real where that is possible."""

from __future__ import annotations

import time
from datetime import date
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest

from asyncjobs import Capabilities, MemoryAdapter, PostgresAdapter
from asyncjobs.doctor import diagnose, worst
from asyncjobs.doctor.checks import connecting
from asyncjobs.doctor.examination import Examination

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from patient import Patient


def place(dsn: str) -> str:
    return urlsplit(dsn).netloc.rpartition("@")[2]


def of_server(**facts: Any) -> Any:
    """An examination of a server of which this is known."""
    exam = Examination.__new__(Examination)
    exam._server = facts
    return exam


async def test_all_is_well_with_a_fresh_database_of_a_durable_server(
    durable_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "today", lambda: date(2026, 1, 1))  # the oldest gets fixes
    found = await diagnose(PostgresAdapter(durable_dsn), "main")
    assert worst(found) == "note"
    assert [finding.check for finding in found if finding.level != "good"] == ["leases"]
    assert len(found) >= 20
    assert all(finding.check and finding.what.endswith(".") for finding in found)


async def test_nobody_answers() -> None:
    adapter = PostgresAdapter("postgresql://me:hunter2@127.0.0.1:1/x")
    [finding] = await diagnose(adapter, "main")
    assert (finding.level, finding.check) == ("bad", "connection")
    assert "ConnectionRefusedError" in finding.what
    assert "hunter2" not in str(finding)


async def test_the_database_is_not_there(dsn: str) -> None:
    gone = urlsplit(dsn)._replace(path="/nowhere").geturl()
    [finding] = await diagnose(PostgresAdapter(gone), "main")
    assert finding.level == "bad"
    assert "createdb" in finding.advice


async def test_no_address_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ASYNCJOBS_DATABASE_URL", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    [finding] = await diagnose(PostgresAdapter(), "main")
    assert finding.level == "bad"
    assert finding.what.startswith("no database is configured")
    assert "ASYNCJOBS_DATABASE_URL=" in finding.advice


async def test_an_adapter_that_is_no_database_is_left_alone() -> None:
    [finding] = await diagnose(MemoryAdapter(), "memory")
    assert finding.level == "note"


async def test_each_host_is_asked_and_a_silent_one_is_told_of(patient: Patient) -> None:
    parts = urlsplit(patient.dsn)
    both = parts._replace(netloc=f"postgres@{place(patient.dsn)},127.0.0.1:1").geturl()
    one, other = await patient.findings("hosts", dsn=both)
    assert (one.level, other.level) == ("good", "warning")
    assert "127.0.0.1:1 does not answer" in other.what


async def test_without_a_primary_what_each_host_says_is_told() -> None:
    adapter = PostgresAdapter("postgresql://x@127.0.0.1:1,127.0.0.1:2/x")
    found = await diagnose(adapter, "main")
    assert [finding.level for finding in found] == ["note", "note", "bad"]


async def test_two_primaries_are_told_of_but_not_one_by_two_names(
    patient: Patient, durable_server: str
) -> None:
    parts = urlsplit(patient.dsn)
    here, port = place(patient.dsn), place(patient.dsn).rpartition(":")[2]
    twice = parts._replace(netloc=f"postgres@{here},localhost:{port}").geturl()
    assert {each.level for each in await patient.findings("hosts", dsn=twice)} == {"good"}
    two = parts._replace(path="/postgres", netloc=f"postgres@{here},{place(durable_server)}")
    found = await patient.findings("hosts", dsn=two.geturl())
    assert [each.level for each in found] == ["good", "good", "bad"]
    assert "each say that they are the primary" in found[-1].what


@pytest.mark.parametrize(
    ("number", "level"), [(130_012, "bad"), (140_020, "note"), (170_002, "good"), (990_000, "good")]
)
async def test_an_old_server_is_told_of(
    number: int, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "today", lambda: connecting.SUPPORTED_UNTIL[15])
    exam = of_server(number=number, version="x")
    assert [each.level async for each in connecting.version(exam)] == [level]


async def test_clocks_that_differ_do_no_harm(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 3_700)
    finding = await patient.finding("clock")
    assert finding.level == "note"
    assert finding.what == "The database's clock is 1 h 1 min behind this machine's."
    assert "no harm" in finding.meaning


async def test_a_listener_that_hears_nothing_is_found_out(
    patient: Patient, server_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "HEARING", 0.5)
    # Notifications stay inside their database: the other one takes LISTEN and hears nothing.
    finding = await patient.finding("listening", listen_dsn=server_dsn)
    assert finding.level == "warning"
    assert "no notification arrives" in finding.what
    assert "ASYNCJOBS_LISTEN_DSN=" in finding.advice


async def test_polling_by_choice_is_told_of(patient: Patient) -> None:
    finding = await patient.finding("listening", listen=False)
    assert finding.level == "warning"
    assert "listen=False" in finding.what


async def test_what_is_forbidden_is_told_of(patient: Patient) -> None:
    finding = await patient.finding("capabilities", capabilities=Capabilities(skip_locked=False))
    assert finding.level == "note"
    assert finding.what == "The server is used without skip_locked."


async def test_a_full_room_for_notifications_is_bad() -> None:
    [finding] = [each async for each in connecting.notifications(of_server(queue_usage=0.5))]
    assert finding.level == "bad"
    assert "pg_terminate_backend" in finding.advice


async def test_workers_that_would_take_all_connections_are_told_of(patient: Patient) -> None:
    async def level(count: int) -> str:
        _, finding = await patient.findings("connections", jobs=patient.manager(count=count))
        assert f"{count} x 18 (*)" in finding.what
        return finding.level

    assert [await level(count) for count in (1, 15, 20)] == ["good", "warning", "bad"]


@pytest.fixture
async def account(patient: Patient) -> AsyncIterator[str]:
    """A user who may connect twice, and may do nothing else."""
    name = f"weak_{uuid4().hex[:8]}"
    await patient.sql(f"create role {name} login connection limit 2")
    yield name
    await patient.sql(f"drop owned by {name}")
    await patient.sql(f"drop role {name}")


async def test_a_limit_of_the_user_counts_and_what_is_hidden_is_told(
    patient: Patient, account: str
) -> None:
    parts = urlsplit(patient.dsn)
    theirs = parts._replace(netloc=f"{account}@{place(patient.dsn)}").geturl()
    other = await asyncpg.connect(theirs)
    try:
        finding = await patient.finding("connections", dsn=theirs)
        assert finding.level == "warning"
        assert "(the connection limit of the user)" in finding.what
        hidden = await patient.finding("holders", dsn=theirs)
        assert (hidden.level, hidden.advice) == ("note", f'grant pg_monitor to "{account}";')
    finally:
        await other.close()


async def test_missing_privileges_come_with_the_grant(patient: Patient, account: str) -> None:
    theirs = urlsplit(patient.dsn)._replace(netloc=f"{account}@{place(patient.dsn)}").geturl()
    finding = await patient.finding("migrations", dsn=theirs)
    assert finding.level == "note"
    assert "could not be looked at" in finding.what
    await patient.sql(f"grant usage on schema asyncjobs to {account}")
    await patient.sql(f"grant select on all tables in schema asyncjobs to {account}")
    finding = await patient.finding("privileges", dsn=theirs)
    assert finding.level == "warning"
    await patient.sql(finding.advice)
    assert (await patient.finding("privileges", dsn=theirs)).level == "good"
