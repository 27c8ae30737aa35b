"""An application with embedded workers under each web server, in two processes each."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Site

pytestmark = pytest.mark.timeout(300)

PAGE = Path(__file__).parents[2] / "docs" / "deploy.md"
SERVERS = ["uvicorn", "gunicorn", "granian", "hypercorn"]
every_server = pytest.mark.parametrize("server", SERVERS)


def command(server: str) -> list[str]:
    """The command of docs/deploy.md, with another application and another port."""
    [line] = re.findall(rf"^\$ ({server} .*)$", PAGE.read_text(), re.MULTILINE)
    program, *options = line.replace("app.main:app", "served:app").replace("8000", "PORT").split()
    return [str(Path(sys.executable).with_name(program)), *options]


@every_server
def test_each_process_works_and_the_first_sigterm_lets_its_job_end(server: str, site: Site) -> None:
    with site.served_by(command(server), shutdown_timeout=30):
        workers = site.workers()
        assert site.pid not in workers
        site.post("/told")
        site.until(lambda: not site.jobs())
        assert set(site.notes()) == {f"ran in {pid}" for pid in workers}
        assert len(site.notes()) == 40

        site.post("/waiting")
        site.until(lambda: site.notes()[40:] == ["started"])
        site.stop()
        site.release()
        assert site.wait_for_end() == 0
        assert site.notes()[40:] == ["started", "ended"]
        assert site.jobs() == []
        assert site.workers() == []


@every_server
def test_a_job_past_the_shutdown_timeout_goes_back_at_no_cost(server: str, site: Site) -> None:
    with site.served_by(command(server), shutdown_timeout=0.2):
        site.post("/waiting")
        site.until(lambda: site.notes() == ["started"])
        site.stop()
        assert site.wait_for_end() == 0
        assert site.notes() == ["started", "cancelled"]
        assert site.jobs() == [("available", 0)]
        assert site.workers() == []
