"""How a command ends that could not do what it was asked."""

from __future__ import annotations

import sys

from asyncjobs.errors import (
    ArgumentError,
    AsyncJobsError,
    ConcurrencyKeyError,
    ConfigError,
    StoredArgumentsError,
    WaitError,
)

TO_BE_CHANGED = (ConfigError, ArgumentError, ConcurrencyKeyError, StoredArgumentsError, WaitError)
"""What no other try makes better: the configuration, or what was typed."""


def exit_code(error: AsyncJobsError) -> int:
    """Return 2 for what has to be changed before another try makes sense, else 1."""
    return 2 if isinstance(error, TO_BE_CHANGED) else 1


def print_error(error: AsyncJobsError) -> None:
    """Say what went wrong."""
    print(f"error: {error}", file=sys.stderr)
