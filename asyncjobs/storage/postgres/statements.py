"""The SQL of this package, read from the files in ``sql/``.

A file is written for psql, where ``:"schema"`` is the quoted name of the schema and
``:'schema'`` the same as a string, so that it runs there as it stands. A line that ends in
``-- since: 2`` is left out on an older schema, so that a program works with the schema before
its own during a rolling deploy; a statement that cannot do without such a line fails there
with NotMigratedError.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Self

from asyncjobs.errors import ConfigError

MAX_IDENTIFIER = 63
"""Bytes. PostgreSQL cuts longer ones off in silence."""
TOKEN = re.compile(r""":"schema"|:'schema'""")
SINCE = re.compile(r"^.*-- since: (\d+)\n", re.MULTILINE)
NEWEST = 1_000_000
"""A version that has every line."""


def sql_folder() -> Path:
    """Return the folder with the SQL: inside the package, or in a checkout beside it."""
    package = Path(__file__).parents[2]
    inside = package / "sql"
    return inside if inside.is_dir() else package.parent / "sql"


def check_schema(name: str) -> str:
    """Return *name* if it can be that of a schema. Raises ConfigError."""
    size = len(name.encode(errors="replace")) if isinstance(name, str) else 0
    if not 1 <= size <= MAX_IDENTIFIER or "\0" in name:
        raise ConfigError(f"schema must have 1 to {MAX_IDENTIFIER} bytes, got {name!r}")
    return name


def channel_name(schema: str) -> str:
    """Return the name of the channel that the workers of *schema* listen on."""
    name = f"asyncjobs_{schema}"
    if len(name.encode()) <= MAX_IDENTIFIER:
        return name
    return f"asyncjobs_{hashlib.sha256(schema.encode()).hexdigest()[:32]}"


def for_schema(text: str, schema: str) -> str:
    """Return the SQL *text* with its tokens replaced."""
    quoted = {
        ':"schema"': '"' + schema.replace('"', '""') + '"',
        ":'schema'": "'" + schema.replace("'", "''") + "'",
    }
    return TOKEN.sub(lambda token: quoted[token.group()], text)


def for_version(text: str, version: int) -> str:
    """Return the SQL *text* without the lines that a schema at *version* does not know."""
    return SINCE.sub(lambda line: line[0] if int(line[1]) <= version else "", text)


@dataclass(frozen=True, slots=True)
class Statements:
    """Every statement of ``sql/queries``; a field is named as its file."""

    admit_jobs: str
    advance_schedules: str
    applied_migrations: str
    await_turn: str
    begin_maintenance: str
    call_listener: str
    cancel_jobs: str
    claim_after: str
    claim_after_by_name: str
    claim_by_name: str
    claim_jobs: str
    claim_queue: str
    clear_jobs: str
    count_expired: str
    count_found: str
    count_jobs: str
    count_schedules: str
    current_migration: str
    declare_limits: str
    declare_maintenance: str
    declare_schedules: str
    delete_jobs: str
    drop_broken_index: str
    due_schedules: str
    end_maintenance: str
    enqueue_alike: str
    enqueue_jobs: str
    enqueue_one: str
    enqueue_special: str
    enqueue_unique: str
    examine_holders: str
    examine_kept: str
    examine_local_workers: str
    examine_names: str
    examine_privileges: str
    examine_server: str
    examine_tables: str
    fence_job: str
    find_available: str
    find_completion: str
    find_jobs: str
    find_orphans: str
    find_scheduled: str
    find_schedules: str
    finish_by_delete: str
    finish_by_update: str
    finish_kept: str
    forget_lanes: str
    free_jobs: str
    get_jobs: str
    get_schedules: str
    has_run: str
    heartbeat: str
    held_jobs: str
    inspect_indexes: str
    inspect_tables: str
    join_statistics: str
    keep_lanes: str
    leave_worker: str
    local_workers: str
    lock_schedule: str
    lock_schedules: str
    look_at_jobs: str
    measure_round_trip: str
    note_runs: str
    note_stopping: str
    offer_jobs: str
    park_claimed: str
    park_jobs: str
    park_key: str
    pause_lane: str
    paused_lanes: str
    plan_by_index: str
    plan_schedule: str
    probe_server: str
    promote_jobs: str
    prove_listening: str
    prune_ended: str
    prune_retained: str
    prune_statistics: str
    prune_unique_keys: str
    put_schedule: str
    quiet_worker: str
    read_counts: str
    read_depths: str
    read_durations: str
    read_enqueued: str
    read_health: str
    read_history: str
    read_lanes: str
    read_lateness: str
    read_limits: str
    read_maintenance: str
    read_names: str
    read_queue_spans: str
    read_queue_states: str
    read_running: str
    read_runs: str
    read_states: str
    read_tags: str
    read_totals: str
    read_workers: str
    rebuild_index: str
    record_declarations: str
    record_migration: str
    record_statistics: str
    register_worker: str
    remove_dead_workers: str
    remove_schedule: str
    remove_worker: str
    report_orphans: str
    report_progress: str
    report_schedule: str
    reschedule_jobs: str
    resume_lane: str
    resume_worker: str
    retire_schedules: str
    retry_jobs: str
    return_jobs: str
    sample_queue_states: str
    skip_runs: str
    stop_worker: str
    switch_schedule: str
    vacuum_table: str
    waiting_lanes: str
    watch_jobs: str

    @classmethod
    @cache
    def load(cls, schema: str, version: int = NEWEST) -> Self:
        """Return the statements for *schema*, which is at *version*."""
        folder = sql_folder() / "queries"
        names = [field.name for field in fields(cls)]
        texts = {name: (folder / f"{name}.sql").read_text(encoding="utf-8") for name in names}
        return cls(
            **{name: for_schema(for_version(text, version), schema) for name, text in texts.items()}
        )

    def without(self, *, skip_locked: bool, notify: bool) -> Self:
        """Return the same for a server that lacks what is True here.

        A function that takes two texts and does nothing with them stands for pg_notify.
        """
        texts = {field.name: getattr(self, field.name) for field in fields(self)}
        if skip_locked:
            texts = {name: text.replace("skip locked", "") for name, text in texts.items()}
        if notify:
            texts = {name: text.replace("pg_notify(", "strpos(") for name, text in texts.items()}
        return type(self)(**texts)
