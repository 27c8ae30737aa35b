"""The pytest plugin: the fixture ``jobs_kit``, and ``jobs_kit_manager`` to say for which app.

Imports nothing of the package until a test asks for a fixture: every run of pytest loads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncjobs.manager import JobManager
    from asyncjobs.testing.kit import JobsKit


@pytest.fixture
def jobs_kit_manager() -> JobManager:
    """The JobManager of the app: that of ``[tool.asyncjobs] app`` in pyproject.toml."""
    from asyncjobs.reference import AppReference  # noqa: PLC0415 - see the module

    return AppReference.find(None).load()


@pytest.fixture
def jobs_kit(jobs_kit_manager: JobManager) -> Iterator[JobsKit]:
    """The app's jobs, in memory for this test; see `asyncjobs.testing.JobsKit`."""
    from asyncjobs.testing.clock import MovableClock  # noqa: PLC0415 - see the module
    from asyncjobs.testing.kit import replaced  # noqa: PLC0415

    with replaced(jobs_kit_manager, MovableClock()) as kit:
        yield kit
