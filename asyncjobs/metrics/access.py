"""Who may see the numbers: job names are among them, so not everybody unless you say so."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from asyncjobs.auth import Identity
from asyncjobs.errors import ConfigError

if TYPE_CHECKING:
    from starlette.requests import Request

    from asyncjobs.auth import Auth


class Bearer:
    """An `Auth` that lets in whoever sends *token*, as Prometheus does for ``authorization``."""

    challenge = "Bearer"

    def __init__(self, token: str) -> None:
        if not isinstance(token, str) or not token.strip():
            raise ConfigError("token must be text, and not empty")
        self._token = token.encode()

    def __call__(self, request: Request) -> Identity | None:
        """Return who it is, or None."""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        is_right = secrets.compare_digest(given.strip().encode(), self._token)
        return Identity("scraper") if scheme.lower() == "bearer" and is_right else None


def anybody(_: Request) -> Identity:
    """Let in whoever asks."""
    return Identity("anybody")


def auth_of(auth: Auth | None, token: str | None, *, public: bool) -> Auth | None:
    """Return the one `Auth` that was asked for; None for this machine only. Raises ConfigError."""
    given = [
        name
        for name, value in (("auth", auth), ("token", token), ("public", public or None))
        if value is not None
    ]
    if len(given) > 1:
        raise ConfigError(f"give one of auth=, token= and public=, got {' and '.join(given)}")
    if token is not None:
        return Bearer(token)
    return anybody if public else auth
