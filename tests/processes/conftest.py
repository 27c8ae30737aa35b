"""Projects for the command ``asyncjobs`` to run in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sample_project import SampleProject

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path, dsn: str) -> SampleProject:
    """A project with the sample app and a migrated database."""
    sample = SampleProject(tmp_path, dsn)
    sample.write_app()
    return sample


@pytest.fixture
def bare_project(tmp_path: Path) -> SampleProject:
    """An empty folder, and no database."""
    return SampleProject(tmp_path, None)
