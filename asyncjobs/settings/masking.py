"""Secrets, made fit to be seen."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MASK = "***"
_USERINFO = re.compile(r"(?<=://)(.*)@")
"""Greedy: a password that holds / or @ as it stands is no address, and still a secret."""
_IN_QUERY = re.compile(r"(?i)([?&\s](?:ssl)?password=)('[^']*'|[^&\s]*)")
_NAMES = re.compile(r"(?i)password|secret|token|passphrase")


def mask_dsn(dsn: str) -> str:
    """Return the address *dsn* without its passwords."""
    masked = _USERINFO.sub(_without_password, dsn)
    return _IN_QUERY.sub(rf"\g<1>{MASK}", f" {masked}")[1:]


def mask(value: Any) -> Any:
    """Return *value* without the passwords of addresses and of mappings, however deep."""
    if isinstance(value, str):
        return mask_dsn(value)
    if isinstance(value, Mapping):
        return {
            name: MASK if _NAMES.search(str(name)) else mask(part) for name, part in value.items()
        }
    return value


def has_password(dsn: str) -> bool:
    """Return whether there is a password in *dsn*."""
    return mask_dsn(dsn) != dsn


def _without_password(found: re.Match[str]) -> str:
    # Up to the last @, and from the first colon: a password may hold either.
    user, colon, _ = found.group(1).partition(":")
    return f"{user}:{MASK}@" if colon else f"{user}@"
