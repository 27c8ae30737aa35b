"""``config``: every setting, its value, and where it came from."""

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from asyncjobs import settings
from asyncjobs.cli.dashboard import DEFAULTS as DASHBOARD
from asyncjobs.cli.metrics import DEFAULTS as METRICS
from asyncjobs.config import WorkerGroup
from asyncjobs.settings import DEFAULT, Resolved
from asyncjobs.settings.catalogue import Setting, of
from asyncjobs.storage.postgres import PostgresAdapter
from asyncjobs.storage.postgres.capabilities import Capabilities

if TYPE_CHECKING:
    from asyncjobs.cli.settings import Settings
    from asyncjobs.manager import JobManager

COMMANDS = {"log_format": "auto", "verbose": False, "state_dir": ".asyncjobs"}
ADAPTER = {"schema": "asyncjobs", "listen": True, "transactions": 10}
"""Defaults, where they are not None. A test compares them with the code's."""


class Line(NamedTuple):
    """One setting of one owner."""

    scope: str
    """Whose it is: "commands", "adapter postgres", "group email", ..."""
    name: str
    value: Any
    origin: str
    others: tuple[tuple[Any, str], ...]
    """Values that others gave, which do not count, and who."""


def config(
    ctx: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array.")] = False,
) -> None:
    """Print every setting, its value, and where it came from.

    Passwords are masked. Without an app, what is said for all apps is shown.
    """
    options: Settings = ctx.obj
    options.configure_logging()
    found = list(lines(options, _app(options)))
    if as_json:
        print(json.dumps([_as_json(line) for line in found], indent=2))
    else:
        _print(found)


def lines(options: "Settings", jobs: "JobManager | None") -> Iterator[Line]:
    """Return what there is to say, for *jobs* or for any."""
    yield from _lines("commands", "command", options.resolved, COMMANDS)
    if jobs is None:
        yield from _of_adapter("adapters", PostgresAdapter())
        yield from _of_group("groups", WorkerGroup(adapter="-"))
    else:
        for name, adapter in jobs.adapters.items():
            if isinstance(adapter, PostgresAdapter):
                yield from _of_adapter(f"adapter {name}", adapter)
        for index, group in enumerate(jobs.workers):
            yield from _of_group(f"group {index} ({group.label})", group)
    yield from _lines("dashboard", "dashboard", settings.resolve_all("dashboard", {}), DASHBOARD)
    yield from _lines("metrics", "metrics", settings.resolve_all("metrics", {}), METRICS)
    yield from _lines("machine", "machine", settings.resolve_all("machine", {}), {})


def _app(options: "Settings") -> "JobManager | None":
    if settings.find("app", options.app) is None:
        return None
    return options.reference().load()


def _of_adapter(scope: str, adapter: PostgresAdapter) -> Iterator[Line]:
    said = dict(adapter.resolved)
    if (address := adapter.access.address) is not None:
        said["database_url"] = address
    yield from _lines(scope, "adapter", said, ADAPTER)


def _of_group(scope: str, group: WorkerGroup) -> Iterator[Line]:
    names = [setting.name for setting in of("group")]
    yield from _lines(
        scope, "group", group.resolved, {name: getattr(group, name) for name in names}
    )


def _lines(
    scope: str, owner: Any, said: Mapping[str, Resolved], defaults: Mapping[str, Any]
) -> Iterator[Line]:
    for setting in of(owner):
        known = said.get(setting.name, Resolved(defaults.get(setting.name), DEFAULT))
        others = tuple((_shown(setting, each.value), each.origin) for each in known.others)
        yield Line(scope, setting.name, _shown(setting, known.value), known.origin, others)


def _shown(setting: Setting, value: Any) -> Any:
    if value is None:
        return None
    if setting.name in {"password", "token"}:
        return settings.MASK
    if isinstance(value, Capabilities):
        value = {name: getattr(value, name) for name in Capabilities.__slots__}
    shown = settings.mask(value) if setting.is_secret else value
    return shown if _is_json(shown) else str(shown)


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True


def _as_json(line: Line) -> dict[str, Any]:
    others = [{"value": value, "origin": origin} for value, origin in line.others]
    return {**line._asdict(), "others": others}


def _print(found: list[Line]) -> None:
    name_width = max(len(line.name) for line in found)
    texts = [_text(line.value) for line in found]
    value_width = min(40, max(map(len, texts)))
    scope = ""
    for line, text in zip(found, texts, strict=True):
        if line.scope != scope:
            print(f"{'' if not scope else chr(10)}{line.scope}")
            scope = line.scope
        print(f"  {line.name:{name_width}}  {text:{value_width}}  {line.origin}".rstrip())
        for value, origin in line.others:
            print(f"  {'':{name_width}}  not used: {_text(value)} from {origin}")


def _text(value: Any) -> str:
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value)
