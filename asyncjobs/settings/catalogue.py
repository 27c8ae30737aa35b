"""Every setting there is: its name in code, in the environment and in pyproject.toml.

A setting named ``concurrency`` is ``ASYNCJOBS_CONCURRENCY`` in the environment, and
``concurrency`` in ``[tool.asyncjobs]``. Those of a worker group may be given for one group:
``ASYNCJOBS_GROUP_EMAIL_CONCURRENCY``, ``[tool.asyncjobs.groups.email]``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from asyncjobs.settings.kinds import (
    FLAG,
    LOG_JOBS,
    NAMES,
    NUMBER,
    OPTIONAL_NUMBER,
    OPTIONAL_WHOLE,
    TABLE,
    TEXT,
    WHOLE,
    Kind,
    one_of,
)

Owner: TypeAlias = Literal["command", "adapter", "group", "dashboard", "metrics", "machine"]

PREFIX = "ASYNCJOBS_"
GROUP_PREFIX = f"{PREFIX}GROUP_"
SET = f"{PREFIX}SET"
"""The variable that says what ``--set`` says, to programs that are started otherwise."""
RESERVED = f"{PREFIX}TEST_"
"""How variables begin that belong to the tests of this package."""
TABLES: tuple[Owner, ...] = ("dashboard", "metrics")
"""Whose settings have a table of their own in pyproject.toml."""
LOG_FORMATS = ("auto", "pretty", "json")


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting."""

    owner: Owner
    """What it belongs to."""
    name: str
    """As the owner's option in code, except for the database's address."""
    kind: Kind
    variables: tuple[str, ...]
    """The environment variables that say it, the first that is set counts."""
    is_secret: bool = False
    """It may hold a password: never shown in full, never on a command line."""
    in_file: bool = True
    """Whether pyproject.toml may say it."""

    @property
    def variable(self) -> str:
        """The environment variable that is its own."""
        return self.variables[0]

    @property
    def key(self) -> str:
        """How it is named in ``[tool.asyncjobs]`` and by ``--set``."""
        return f"{self.owner}.{self.name}" if self.owner in TABLES else self.name


def _setting(owner: Owner, name: str, kind: Kind, **more: bool) -> Setting:
    table = f"{owner.upper()}_" if owner in TABLES else ""
    return Setting(owner, name, kind, (f"{PREFIX}{table}{name.upper()}",), **more)


SETTINGS = (
    _setting("command", "app", TEXT),
    _setting("command", "log_format", one_of(LOG_FORMATS)),
    _setting("command", "verbose", FLAG),
    _setting("command", "state_dir", TEXT),
    Setting(
        "adapter", "database_url", TEXT, (f"{PREFIX}DATABASE_URL", "DATABASE_URL"), is_secret=True
    ),
    _setting("adapter", "schema", TEXT),
    _setting("adapter", "listen", FLAG),
    _setting("adapter", "listen_dsn", TEXT, is_secret=True),
    _setting("adapter", "connect", TABLE, is_secret=True),
    _setting("adapter", "capabilities", TABLE),
    _setting("adapter", "transactions", WHOLE),
    _setting("group", "queue", NAMES),
    _setting("group", "count", WHOLE),
    _setting("group", "concurrency", WHOLE),
    _setting("group", "threads", OPTIONAL_WHOLE),
    _setting("group", "processes", OPTIONAL_WHOLE),
    _setting("group", "max_attempts", WHOLE),
    _setting("group", "max_runtime", NUMBER),
    _setting("group", "delete_failed_jobs", FLAG),
    _setting("group", "delete_successful_jobs", FLAG),
    _setting("group", "retain", OPTIONAL_NUMBER),
    _setting("group", "max_result", WHOLE),
    _setting("group", "sleep_delay", NUMBER),
    _setting("group", "lease", NUMBER),
    _setting("group", "heartbeat_interval", NUMBER),
    _setting("group", "shutdown_timeout", NUMBER),
    _setting("group", "kill_stuck", FLAG),
    _setting("group", "mend_tables", FLAG),
    _setting("group", "log_jobs", LOG_JOBS),
    _setting("group", "log_arguments", FLAG),
    _setting("dashboard", "host", TEXT),
    _setting("dashboard", "port", WHOLE),
    _setting("dashboard", "user", TEXT),
    _setting("dashboard", "password", TEXT, is_secret=True, in_file=False),
    _setting("dashboard", "password_file", TEXT),
    _setting("dashboard", "read_only", FLAG),
    _setting("dashboard", "adapter", TEXT),
    _setting("metrics", "host", TEXT),
    _setting("metrics", "port", WHOLE),
    _setting("metrics", "worker_port", OPTIONAL_WHOLE),
    _setting("metrics", "token", TEXT, is_secret=True, in_file=False),
    _setting("metrics", "token_file", TEXT),
    _setting("metrics", "public", FLAG),
    _setting("machine", "host_id", TEXT, in_file=False),
    _setting("machine", "postgres_bin", TEXT, in_file=False),
)
"""All of them, in the order in which they are shown."""

BY_KEY = {setting.key: setting for setting in SETTINGS}
BY_VARIABLE = {variable: setting for setting in SETTINGS for variable in setting.variables}
OF_GROUPS = {setting.name: setting for setting in SETTINGS if setting.owner == "group"}


def of(owner: Owner) -> list[Setting]:
    """Return the settings of *owner*."""
    return [setting for setting in SETTINGS if setting.owner == owner]


def as_variable(group: str) -> str:
    """Return the name of a *group* as it stands in the names of variables."""
    return re.sub(r"[^A-Z0-9]", "_", group.upper())
