"""What may be said of a database's address that cannot be used, or where nobody answers.

Never a part of it that could be one of a password: where a password holds a character that
ends a part of an address, what reads as a host, a port or a database is a piece of it.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from asyncjobs.errors import ConfigError, StorageUnavailableError
from asyncjobs.storage.postgres.hosts import hosts_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SCHEMES = ("postgresql", "postgres")
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
SESSIONS = ("any", "primary", "standby", "read-write", "read-only", "prefer-standby")
"""What target_session_attrs may be."""
FORM = "postgresql://user:password@host:port/database"
ESCAPES = "write @ / # ? [ ] in a user or a password as %40 %2F %23 %3F %5B %5D"
LAST_PORT = 65_535
PORTS = f"a port must be a whole number from 1 to {LAST_PORT}"
_PARTS = re.compile(r"(?:(?P<scheme>[^:/?#]*)://)?(?P<authority>[^/?#]*)(?P<rest>.*)", re.DOTALL)


def unusable(whose: str, dsn: str, options: Mapping[str, Any]) -> ConfigError:
    """Return the error for the address *dsn*, called *whose*, that asyncpg cannot read."""
    problem = next(_flaws(dsn), None)
    if problem is None and (wrong := _out_of_bounds(dsn, options)):
        problem = f"{PORTS}, got {wrong}"
    if problem is None:
        problem = f"it must be of the form {FORM}"
        if options:
            named = ", ".join(sorted(options))
            problem += f", and each option of connect ({named}) one of asyncpg.connect"
    return ConfigError(f"{whose} cannot be used: {problem}")


def has_possible_ports(dsn: str, options: Mapping[str, Any]) -> bool:
    """Return whether each port is within the bounds of one, if it is a number.

    To be asked before connecting: for a name's 70000 the resolver takes 4464.
    """
    return _out_of_bounds(dsn, options) is None


def unreachable(dsn: str, options: Mapping[str, Any], error: OSError) -> OSError:
    """Return *error*, met when connecting, with the place where nobody answered.

    A time-out stays one, for it tells of a server that is silent.
    """
    if isinstance(error, StorageUnavailableError) and not is_torn(dsn):
        return error  # of several hosts: it names each
    what = f"{type(error).__name__}: {error}".removesuffix(": ")
    if isinstance(error, TimeoutError):
        what = "no answer"
    if is_torn(dsn):
        what = f"{type(error).__name__}; if the address is not read as it is meant, {ESCAPES}"
    elif place := place_of(dsn, options):
        what = f"{place}: {what}"
    elif flaw := next(_flaws(dsn), None):
        what = f"{what}; {flaw}"
    return TimeoutError(what) if isinstance(error, TimeoutError) else StorageUnavailableError(what)


def place_of(dsn: str, options: Mapping[str, Any]) -> str | None:
    """Return ``host:port/database`` of an address; None if that may not be said, or not known."""
    if is_torn(dsn) or "service" in _query(dsn) or "PGSERVICE" in os.environ:
        return None
    try:
        hosts = hosts_of(dsn, options)
    except ValueError:
        return None
    if any(not 0 < host.port <= LAST_PORT for host in hosts):
        return None
    named = ",".join(str(host if host.name else host._replace(name="localhost")) for host in hosts)
    query = _query(dsn)
    database = (
        options.get("database")
        or re.split(r"[?#]", _split(dsn)["rest"])[0].removeprefix("/")
        or query.get("dbname")
        or query.get("database")
        or os.environ.get("PGDATABASE")
    )
    return f"{named}/{database}" if database else named


def is_torn(dsn: str) -> bool:
    """Return whether a user or a password may hold what ends a part of the address *dsn*."""
    parts = _split(dsn)
    user, _, _ = parts["authority"].rpartition("@")
    return "@" in parts["rest"] or any(each in user for each in "@[]")


def _flaws(dsn: str) -> Iterator[str]:
    parts = _split(dsn)
    scheme = parts["scheme"]
    if scheme not in SCHEMES:
        is_word = scheme is not None and scheme.isalpha() and not is_torn(dsn)
        got = f", not with {f'{scheme}://'!r}" if is_word else ""
        yield f"it must begin with postgresql://{got}"
    if is_torn(dsn):
        yield ESCAPES
    _, at, hosts = parts["authority"].rpartition("@")
    if any(host.startswith("[") and "]" not in host for host in hosts.split(",")):
        yield "an IPv6 address must stand in [ and ]"
    for port in _ports(hosts):
        if not _is_port(port):
            # Without an @ it may be a password, whose host was left out.
            got = f", got {port!r}" if at else f"; the form is {FORM}"
            yield f"{PORTS}{got}"
    yield from _flaws_of_query(parts["rest"].partition("#")[0].partition("?")[2])


def _flaws_of_query(text: str) -> Iterator[str]:
    try:
        query = {name: values[-1] for name, values in parse_qs(text, strict_parsing=True).items()}
    except ValueError:
        if text:
            yield "what follows its ? must be name=value, joined by &"
        query = {}
    for port in (query.get("port") or os.environ.get("PGPORT") or "1").split(","):
        if not _is_port(port):
            yield f"{PORTS}, got {port!r}"
    sslmode = query.get("sslmode") or os.environ.get("PGSSLMODE")
    for name, value, known in (
        ("sslmode", sslmode, SSL_MODES),
        ("target_session_attrs", query.get("target_session_attrs"), SESSIONS),
    ):
        if value is not None and value not in known:
            yield f"{name} must be one of {', '.join(known)}, got {value!r}"


def _out_of_bounds(dsn: str, options: Mapping[str, Any]) -> int | None:
    by_service = "service" in _query(dsn) or "PGSERVICE" in os.environ
    try:
        ports = [host.port for host in hosts_of(dsn, options)]
    except ValueError:  # whoever connects says what is wrong
        return None
    default = os.environ.get("PGPORT") if by_service else None  # the service may say another
    return next(
        (port for port in ports if not 0 < port <= LAST_PORT and str(port) != default), None
    )


def _split(dsn: str) -> dict[str, Any]:
    found = _PARTS.fullmatch(dsn)
    assert found is not None  # each part may be empty
    return found.groupdict()


def _query(dsn: str) -> dict[str, str]:
    text = _split(dsn)["rest"].partition("#")[0].partition("?")[2]
    return {name: values[-1] for name, values in parse_qs(text).items()}


def _ports(hosts: str) -> list[str]:
    found = []
    for host in hosts.split(","):
        _, _, port = host.rpartition("]" if host.startswith("[") else ":")
        found.append(port.removeprefix(":") if ":" in host else "")
    return [port for port in found if port]


def _is_port(text: str) -> bool:
    return text.isdecimal() and 0 < int(text) <= LAST_PORT
