"""``asyncjobs dashboard`` and ``asyncjobs top``, as processes."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

import httpx
import pytest
from sample_project import Command, SampleProject, until

from asyncjobs.dashboard import hash_password

if TYPE_CHECKING:
    from pathlib import Path

ADDRESS = re.compile(r"^(http://\S+)$", re.MULTILINE)


def address_of(command: Command) -> str:
    until(lambda: ADDRESS.search(command.output), command)
    found = ADDRESS.search(command.output)
    assert found is not None
    return found[1]


def test_the_dashboard_is_served_to_this_machine(project: SampleProject) -> None:
    project.schedule("wait_for_release")
    with project.running("dashboard", "--port", "0") as command:
        address = address_of(command)
        assert address.startswith("http://127.0.0.1:")
        page = httpx.get(address)
        assert page.status_code == 200
        assert ">default</a>" in page.text
        assert httpx.get(address, headers={"X-Forwarded-For": "10.0.0.1"}).status_code == 403
        command.send(signal.SIGINT)
        assert command.wait_for_end() == 0


@pytest.mark.parametrize("secret", ["open sesame", hash_password("open sesame")])
def test_others_need_a_password(project: SampleProject, tmp_path: Path, secret: str) -> None:
    refused = project.asyncjobs("dashboard", "--host", "0.0.0.0", "--port", "0")
    assert refused.returncode == 2
    assert "--password-file, or ASYNCJOBS_DASHBOARD_PASSWORD" in refused.stderr
    file = tmp_path / "password"
    file.write_text(f"{secret}\n")
    options = ("--host", "0.0.0.0", "--port", "0", "--password-file", str(file), "--read-only")
    with project.running("dashboard", *options) as command:
        address = address_of(command).replace("0.0.0.0", "127.0.0.1")
        assert httpx.get(address).status_code == 401
        page = httpx.get(address, auth=("admin", "open sesame"))
        assert page.status_code == 200
        assert "This dashboard is read-only." in page.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("dashboard", "--password-file", "nowhere"), "--password-file cannot be read"),
        (("dashboard", "--port", "70000"), "cannot listen on 127.0.0.1 port 70000"),
        (("dashboard", "--adapter", "odd"), "odd"),
        (("top", "--period", "year"), "--period must be of now, hour, day, week"),
        (("top", "--adapter", "odd"), "odd"),
    ],
)
def test_what_cannot_be_is_said(
    project: SampleProject, options: tuple[str, ...], message: str
) -> None:
    done = project.asyncjobs(*options)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_top_without_a_terminal_is_printed_once(project: SampleProject) -> None:
    project.schedule("wait_for_release")
    done = project.asyncjobs("top")
    assert done.returncode == 0, done.stderr
    assert "No worker runs." in done.stdout
    assert re.search(r"default\s+1\s", done.stdout)
