"""The pytest plugin: the fixture ``jobs_kit``, with two to override for what it is made of.

``jobs_kit_manager`` says for which app it is, ``jobs_kit_clock`` when it starts.

Imports nothing of the package until a test asks for a fixture: every run of pytest loads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncjobs.manager import JobManager
    from asyncjobs.testing.clock import MovableClock
    from asyncjobs.testing.kit import JobsKit


@pytest.fixture
def jobs_kit_manager() -> JobManager:
    """The JobManager of the app: that of ``[tool.asyncjobs] app`` in pyproject.toml."""
    from asyncjobs.reference import AppReference  # noqa: PLC0415 - see the module

    return AppReference.find(None).load()


@pytest.fixture
def jobs_kit_clock() -> MovableClock:
    """The clock of the kit, which stands still at the time of the test's start."""
    from asyncjobs.testing.clock import MovableClock  # noqa: PLC0415 - see the module

    return MovableClock()


@pytest.fixture
def jobs_kit(jobs_kit_manager: JobManager, jobs_kit_clock: MovableClock) -> Iterator[JobsKit]:
    """The app's jobs, in memory for this test; see `asyncjobs.testing.JobsKit`."""
    from asyncjobs.testing.kit import replaced  # noqa: PLC0415 - see the module

    with replaced(jobs_kit_manager, jobs_kit_clock) as kit:
        yield kit
