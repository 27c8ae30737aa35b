"""Who asks, and what they may do.

Without an `Auth` only this very machine is answered, as in development: see `is_local`.
"""

from __future__ import annotations

import inspect
import ipaddress
from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from asyncjobs.errors import ConfigError


class Identity(NamedTuple):
    """Somebody who may look, and perhaps act."""

    name: str
    """What the log says of whoever acted."""
    may_act: bool = False
    """Whether they may change anything, not only look."""


Verdict: TypeAlias = "Identity | Response | None"
"""None refuses. A response, such as a redirect to your login page, is sent instead of ours."""
Auth: TypeAlias = Callable[[Request], "Verdict | Awaitable[Verdict]"]
"""From a request to who it is, sync or async. If it has an attribute ``challenge``, that is
sent as WWW-Authenticate when it refuses."""

LOCAL = Identity("local", may_act=True)
PROXY_HEADERS = (
    "forwarded", "via", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "true-client-ip",
    "fastly-client-ip",
)  # fmt: skip
PROXY_PREFIXES = ("x-forwarded", "x-original-", "x-envoy-", "x-amzn-", "cf-")
PROXY_VERSION = "1.0"
"""Of HTTP: what nginx speaks to what it leads to, unless it is told otherwise. Browsers do not."""
LOOPBACK_NAMES = ("localhost", "localhost.localdomain")


def check_auth(auth: object) -> None:
    """Raise ConfigError unless *auth* is a function, or None. Does not show it: a password?"""
    if auth is not None and not callable(auth):
        kind = type(auth).__name__
        raise ConfigError(f"auth must be a function from a request to an Identity, got: {kind}")


async def identify(auth: Auth | None, request: Request) -> Verdict:
    """Return who *request* is from. Without *auth* that is anybody on this machine."""
    if auth is None:
        return LOCAL if is_local(request) else None
    found = auth(request)
    if inspect.isawaitable(found):
        found = await found
    if found is None or isinstance(found, Identity | Response):
        return found
    raise TypeError(
        f"auth must return an Identity, a Response or None, got {type(found).__name__}: "
        "by_dependency takes identify= to make an Identity of what it is"
    )


def is_local(request: Request) -> bool:
    """Return whether *request* was made on this machine, to this machine, without a proxy.

    The name in the address counts as well, because a site of somebody else may let its own
    name lead here; so do the signs of proxies, which make every client local: their headers,
    and HTTP/1.0. A proxy on this machine that leaves no sign is not told from a browser.
    """
    return (
        request.client is not None
        and _is_loopback(request.client.host)
        and _is_loopback(host_of(request.headers.get("host", "")))
        and not _is_passed_on(request)
    )


def _is_passed_on(request: Request) -> bool:
    return request.scope.get("http_version") == PROXY_VERSION or any(
        name in PROXY_HEADERS or name.startswith(PROXY_PREFIXES) for name in request.headers
    )


def host_of(netloc: str) -> str:
    """Return the host of a Host header, without a port or brackets."""
    if netloc.startswith("["):
        return netloc[1:].partition("]")[0]
    return netloc.partition(":")[0]


def _is_loopback(host: str) -> bool:
    if host.lower().rstrip(".") in LOOPBACK_NAMES:
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
