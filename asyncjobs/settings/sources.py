"""The places that settings are read from, each read as a whole and refused as a whole."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from asyncjobs.errors import ConfigError, UnknownSettingError
from asyncjobs.project import Project, tool_table
from asyncjobs.settings.catalogue import (
    BY_KEY,
    BY_VARIABLE,
    GROUP_PREFIX,
    OF_GROUPS,
    PREFIX,
    RESERVED,
    SET,
    TABLES,
    Setting,
    as_variable,
    of,
)
from asyncjobs.settings.masking import has_password

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from asyncjobs.settings.catalogue import Owner

KUBERNETES = re.compile(
    r"(_SERVICE_HOST|_SERVICE_PORT(_\w+)?|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$"
)
"""How variables end that Kubernetes gives every container, for a service named asyncjobs."""
ADDRESS = re.compile(r"(tcp|udp|sctp)://")
"""How the value of one more of them begins, which may be ASYNCJOBS_DASHBOARD_PORT."""


class Given(NamedTuple):
    """A value, and who gave it."""

    value: Any
    origin: str


@dataclass(frozen=True)
class Source:
    """What one place says."""

    general: dict[str, Given] = field(default_factory=dict)
    """By the key of the setting."""
    groups: dict[str, dict[str, Given]] = field(default_factory=dict)
    """For one group: by the group's name, as the place writes it, and the setting's."""

    def find(self, setting: Setting, group: str | None) -> Given | None:
        """Return what is said of *setting*; what is said for *group* counts first."""
        if group is not None and setting.owner == "group":
            own = self.groups.get(group) or self.groups.get(as_variable(group), {})
            if setting.name in own:
                return own[setting.name]
        return self.general.get(setting.key)

    def put(self, group: str | None, setting: Setting, given: Given) -> None:
        """Note what is said."""
        if group is None:
            self.general[setting.key] = given
        else:
            self.groups.setdefault(group, {})[setting.name] = given


class Sources(NamedTuple):
    """All places, beside the code."""

    overrides: Source
    environment: Source
    file: Source


def read_sources() -> Sources:
    """Return what the environment and the project's file say now.

    Raises ConfigError, UnknownSettingError for what makes no sense there.
    """
    named = tuple(
        (name, text)
        for name, text in sorted(os.environ.items())
        if name.startswith(PREFIX) or name in BY_VARIABLE
    )
    environment = dict(named)
    path = Project.find().pyproject
    return Sources(
        _overrides(environment.get(SET, "")),
        _environment(named),
        Source() if path is None else _file(path, path.stat().st_mtime_ns),
    )


@lru_cache(maxsize=8)
def _environment(named: tuple[tuple[str, str], ...]) -> Source:
    source = Source()
    for name, text in named:
        if _is_foreign(name, text):
            continue
        setting, group = BY_VARIABLE.get(name), None
        if setting is not None and name != setting.variable and dict(named).get(setting.variable):
            continue  # DATABASE_URL, when there is one of our own
        if setting is None and name.startswith(GROUP_PREFIX):
            group, setting = _of_group(name)
        if not text:
            continue  # an empty variable is as good as none, as it is to libpq
        if setting is None:
            raise UnknownSettingError(name, _known_variables(), "the environment")
        value = setting.kind.from_text(name, text, is_secret=setting.is_secret)
        source.put(group, setting, Given(value, name))
    return source


def _of_group(name: str) -> tuple[str, Setting]:
    for option, setting in OF_GROUPS.items():
        ending = f"_{option.upper()}"
        if name.endswith(ending) and len(name) > len(GROUP_PREFIX) + len(ending):
            return name[len(GROUP_PREFIX) : -len(ending)], setting
    known = (f"{GROUP_PREFIX}<NAME>_{option.upper()}" for option in OF_GROUPS)
    raise UnknownSettingError(name, known, "the environment")


def _is_foreign(name: str, text: str) -> bool:
    if name == SET or name.startswith(RESERVED):
        return True
    is_address = name.endswith("_PORT") and ADDRESS.match(text) is not None
    return is_address or (name not in BY_VARIABLE and KUBERNETES.search(name) is not None)


def _known_variables() -> Iterator[str]:
    yield SET
    yield from (name for name in BY_VARIABLE if name.startswith(PREFIX))


@lru_cache(maxsize=8)
def _file(path: Path, changed: int) -> Source:
    source, where = Source(), f"{path} [tool.asyncjobs"
    table = dict(tool_table(path))
    groups = table.pop("groups", {})
    tables: dict[Owner, Any] = {name: table.pop(name, {}) for name in TABLES}
    for name, inner in (("groups", groups), *tables.items()):
        if not isinstance(inner, Mapping):
            raise ConfigError(f"{where}] {name} must be a table, got {inner!r}")
    plain = {key for key in BY_KEY if "." not in key}
    _read_table(source, table, f"{where}]", {key: BY_KEY[key] for key in plain})
    for name, inner in tables.items():
        _read_table(source, inner, f"{where}.{name}]", {one.name: one for one in of(name)})
    for group, inner in groups.items():
        if not isinstance(inner, Mapping):
            raise ConfigError(f"{where}.groups] {group} must be a table, got {inner!r}")
        _read_table(source, inner, f"{where}.groups.{group}]", OF_GROUPS, group)
    return source


def _read_table(
    source: Source,
    table: Mapping[str, Any],
    where: str,
    known: Mapping[str, Setting],
    group: str | None = None,
) -> None:
    for key, value in table.items():
        if key not in known:
            raise UnknownSettingError(key, known, where)
        setting = known[key]
        if not setting.in_file:
            raise ConfigError(f"{where} {key} is for the environment: {setting.variable}")
        found = setting.kind.from_toml(f"{where} {key}", value, is_secret=setting.is_secret)
        if isinstance(found, str) and setting.is_secret and has_password(found):
            raise ConfigError(
                f"{where} {key} holds a password, which does not belong into a file that is "
                f"shared: put it into {setting.variable}"
            )
        source.put(group, setting, Given(found, where))


@lru_cache(maxsize=8)
def _overrides(text: str) -> Source:
    source = Source()
    try:
        parts = shlex.split(text)
    except ValueError as error:
        raise ConfigError(f"{SET} cannot be read: {error}") from None
    for part in parts:
        key, equals, value = part.partition("=")
        if not equals:
            raise ConfigError(f"--set takes NAME=VALUE, got {part!r}")
        group, setting = _setting_of(key)
        if setting.is_secret or setting.owner == "machine":
            raise ConfigError(f"--set does not take {key}: put it into {setting.variable}")
        given = Given(setting.kind.from_text(f"--set {key}", value), f"--set {key}")
        source.put(group, setting, given)
    return source


def _setting_of(key: str) -> tuple[str | None, Setting]:
    group = None
    if key.startswith("groups."):
        group, _, name = key.removeprefix("groups.").rpartition(".")
        found = OF_GROUPS.get(name) if group else None
    else:
        found = BY_KEY.get(key)
    if found is None:
        known = [*BY_KEY, *(f"groups.{group or '<name>'}.{option}" for option in OF_GROUPS)]
        raise UnknownSettingError(key, known, "--set")
    return group, found
