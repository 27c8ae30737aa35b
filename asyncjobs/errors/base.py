"""The error that all others are."""

from __future__ import annotations


class AsyncJobsError(Exception):
    """Any error of this package."""
