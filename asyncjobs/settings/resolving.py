"""What counts when several places say something: one order for every setting.

1. ``--set NAME=VALUE`` on the command line, or ``ASYNCJOBS_SET``;
2. the code, or an option of the command;
3. the environment;
4. ``[tool.asyncjobs]`` in pyproject.toml;
5. the default.

Within each, what is said for one group counts before what is said for all.

The code comes before the environment, as it does for libpq, asyncpg, httpx and whatever else
takes arguments and variables: a test that names its database gets that one, whatever the shell
holds, and a group that is slow on purpose stays so when all others are made faster. The last
word of whoever operates the program is `--set`, which one has to mean.
"""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING, Any, NamedTuple

from asyncjobs.errors import ConfigError, UnknownSettingError
from asyncjobs.settings.catalogue import BY_KEY, GROUP_PREFIX, SET, as_variable, of
from asyncjobs.settings.sources import Given, Sources, read_sources

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from asyncjobs.settings.catalogue import Owner, Setting

CODE, DEFAULT, COMMAND_LINE = "the code", "default", "the command line"


class Resolved(NamedTuple):
    """The value that counts, who gave it, and who else tried."""

    value: Any
    origin: str
    others: tuple[Given, ...] = ()
    """Values from places that come later in the order."""


def resolve(
    setting: Setting,
    sources: Sources,
    *,
    group: str | None = None,
    given: Given | None = None,
) -> Resolved | None:
    """Return what counts for *setting*; None if nobody says anything."""
    said = (
        sources.overrides.find(setting, group),
        given,
        sources.environment.find(setting, group),
        sources.file.find(setting, group),
    )
    known = [each for each in said if each is not None]
    if not known:
        return None
    return Resolved(*known[0], tuple(known[1:]))


def resolve_all(
    owner: Owner, given: Mapping[str, Any], *, group: str | None = None, origin: str = CODE
) -> dict[str, Resolved]:
    """Return what counts for each setting of *owner* of which anybody says anything.

    *given* is what *origin* says, by name.
    """
    sources = read_sources()
    found = {
        setting.name: resolve(
            setting,
            sources,
            group=group,
            given=Given(given[setting.name], origin) if setting.name in given else None,
        )
        for setting in of(owner)
    }
    return {name: resolved for name, resolved in found.items() if resolved is not None}


def find(key: str, given: Any = None, *, origin: str = CODE) -> Resolved | None:
    """Return what counts for the setting *key*, when *origin* says *given* unless it is None."""
    said = None if given is None else Given(given, origin)
    return resolve(BY_KEY[key], read_sources(), given=said)


def override(words: Sequence[str]) -> None:
    """Let *words*, each ``NAME=VALUE``, count first in this process and those it starts.

    Raises ConfigError, UnknownSettingError.
    """
    if words:
        before = os.environ.get(SET, "")
        os.environ[SET] = f"{before} {shlex.join(words)}".strip()
    read_sources()


def check_groups(names: Sequence[str]) -> None:
    """Raise UnknownSettingError if something is said for a group other than *names*.

    Raises ConfigError for names that the environment cannot tell apart.
    """
    by_variable: dict[str, str] = {}
    for name in names:
        other = by_variable.setdefault(as_variable(name), name)
        if other != name or names.count(name) > 1:
            raise ConfigError(
                f"two worker groups are named {other!r} and {name!r}, which are one name in "
                f"{GROUP_PREFIX}{as_variable(name)}_…: give them names that differ in more"
            )
    overrides, environment, file = read_sources()
    for group in environment.groups:
        if group not in by_variable:
            [origin, *_] = [given.origin for given in environment.groups[group].values()]
            variables = [f"{GROUP_PREFIX}{known}" for known in by_variable]
            raise UnknownSettingError(f"{GROUP_PREFIX}{group}", variables, origin)
    for source, where in ((overrides, "--set"), (file, "[tool.asyncjobs.groups]")):
        for group in source.groups:
            if group not in names:
                raise UnknownSettingError(group, names, where)
