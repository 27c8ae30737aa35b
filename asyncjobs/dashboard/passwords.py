"""One name and one password, by HTTP basic authentication."""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from asyncjobs.auth import Identity
from asyncjobs.config import check_flag
from asyncjobs.errors import ConfigError

if TYPE_CHECKING:
    from starlette.requests import Request

SCHEME = "scrypt"
COST, BLOCK, LANES = 2**14, 8, 1
"""16 MB and some 50 ms a guess."""
SALT, KEY = 16, 32
"""Bytes."""
GUESSES = 2
"""How many are checked at once; the others wait."""


def password(user: str, secret: str, *, may_act: bool = True) -> PasswordAuth:
    """Return an `Auth` that asks the browser for *user* and *secret*.

    *secret* is the password, or what `hash_password` made of it. Use it behind TLS only: the
    browser sends the password along with every request. Raises ConfigError.
    """
    if not user or ":" in user:
        raise ConfigError(f"user must not be empty or contain a colon, got {user!r}")
    if not secret:
        raise ConfigError("the password must not be empty")
    check_flag("may_act", may_act)
    return PasswordAuth(user, secret, may_act=may_act)


def hash_password(secret: str) -> str:
    """Return a hash of *secret* to keep in place of it; every call makes another one."""
    salt = secrets.token_bytes(SALT)
    return f"{SCHEME}${salt.hex()}${_derive(secret.encode(), salt).hex()}"


class PasswordAuth:
    """Made by `password`."""

    challenge = 'Basic realm="asyncjobs", charset="UTF-8"'

    def __init__(self, user: str, secret: str, *, may_act: bool) -> None:
        self._user, self._identity = user.encode(), Identity(user, may_act)
        self._salt, self._key = _read(secret)
        self._known = b""
        # Of its own, because anybody may guess: in the threads that all share, guesses would
        # keep the app's other work waiting, and take 16 MB for each of 40.
        self._guesses = anyio.CapacityLimiter(GUESSES)

    async def __call__(self, request: Request) -> Identity | None:
        """Return who the Authorization header says, if the password is right."""
        given = request.headers.get("authorization", "")
        scheme, _, encoded = given.partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            user, _, secret = base64.b64decode(encoded, validate=True).partition(b":")
        except (binascii.Error, ValueError):
            return None
        is_user = secrets.compare_digest(user, self._user)
        return self._identity if await self._is_right(secret) and is_user else None

    async def _is_right(self, secret: bytes) -> bool:
        # A right password is recognised by a plain digest from then on: 50 ms for each file
        # of a page would be felt.
        digest = hashlib.sha256(self._salt + secret).digest()
        if self._known and secrets.compare_digest(digest, self._known):
            return True
        key = await anyio.to_thread.run_sync(_derive, secret, self._salt, limiter=self._guesses)
        if not secrets.compare_digest(key, self._key):
            return False
        self._known = digest
        return True


def _read(secret: str) -> tuple[bytes, bytes]:
    if not secret.startswith(f"{SCHEME}$"):
        salt = secrets.token_bytes(SALT)
        return salt, _derive(secret.encode(), salt)
    try:
        _, salt_digits, key_digits = secret.split("$")
        return bytes.fromhex(salt_digits), bytes.fromhex(key_digits)
    except ValueError:
        raise ConfigError(f"a password that begins with {SCHEME}$ must be a whole hash") from None


def _derive(secret: bytes, salt: bytes) -> bytes:
    return hashlib.scrypt(secret, salt=salt, n=COST, r=BLOCK, p=LANES, dklen=KEY)
