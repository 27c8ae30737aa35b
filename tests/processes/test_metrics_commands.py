"""``asyncjobs metrics`` and ``asyncjobs work --metrics-port``, as processes."""

from __future__ import annotations

import os
import re
import signal
import socket
from typing import TYPE_CHECKING
from urllib.request import urlopen

import httpx
import pytest
from sample_project import APP, Command, SampleProject, until

if TYPE_CHECKING:
    from pathlib import Path

ADDRESS = re.compile(r"^(http://\S+/metrics)$", re.MULTILINE)
SLOTS = re.compile(r'asyncjobs_worker_slots\{group="([^"]+)",pid="(\d+)",worker="([^"]+)"\}')


@pytest.fixture
def pair(project: SampleProject) -> SampleProject:
    """The project with two workers."""
    project.write_app(APP.replace("shutdown_timeout=", "count=2, shutdown_timeout="))
    return project


def address_of(command: Command) -> str:
    until(lambda: ADDRESS.search(command.output), command)
    found = ADDRESS.search(command.output)
    assert found is not None
    return found[1]


def told_at(port: int) -> str | None:
    # Not by httpx, which makes a TLS context each time: this is asked over and over.
    try:
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            text: str = answer.read().decode()
    except OSError:
        return None
    return text


def free_port() -> int:
    """A port that is free, and so, very likely, are the next ones."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port if port < 60_000 else port - 20_000


def test_the_cluster_is_told_to_this_machine(project: SampleProject) -> None:
    project.schedule("wait_for_release")
    with project.running("metrics", "--port", "0") as command:
        address = address_of(command)
        text = httpx.get(address).text
        assert 'asyncjobs_jobs{adapter="postgres",queue="default",state="available"} 1.0' in text
        assert "asyncjobs_connections" not in text
        assert httpx.get(address, headers={"X-Forwarded-For": "10.0.0.1"}).status_code == 403
        command.send(signal.SIGINT)
        assert command.wait_for_end() == 0


def test_others_need_a_token(project: SampleProject, tmp_path: Path) -> None:
    refused = project.asyncjobs("metrics", "--host", "0.0.0.0", "--port", "0")
    assert refused.returncode == 2
    assert "give --token-file, or ASYNCJOBS_METRICS_TOKEN in the environment, or" in refused.stderr
    file = tmp_path / "token"
    file.write_text("swordfish\n")
    options = ("--host", "0.0.0.0", "--port", "0", "--token-file", str(file))
    with project.running("metrics", *options) as command:
        address = address_of(command).replace("0.0.0.0", "127.0.0.1")
        assert httpx.get(address).status_code == 401
        right = {"Authorization": "Bearer swordfish"}
        assert httpx.get(address, headers=right).status_code == 200


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("metrics", "--token-file", "nowhere"), "--token-file cannot be read"),
        (("metrics", "--port", "70000"), "cannot listen on 127.0.0.1 port 70000"),
        (("work", "--metrics-port", "65535"), "would need the ports 65535 to 65536"),
        (("--set", "metrics.host=0.0.0.0", "work", "--metrics-port", "9200"), "lets others in"),
    ],
)
def test_what_cannot_be_is_said(
    pair: SampleProject, options: tuple[str, ...], message: str
) -> None:
    done = pair.asyncjobs(*options)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_each_worker_tells_of_itself_at_its_port_again_after_it_was_killed(
    pair: SampleProject,
) -> None:
    port = free_port()
    with pair.running("work", "--metrics-port", str(port)) as command:

        def worker(place: int) -> tuple[str, ...] | None:
            found = SLOTS.search(told_at(port + place) or "")
            return found.groups() if found else None

        until(lambda: worker(0) and worker(1), command)
        first, second = worker(0), worker(1)
        assert first is not None
        assert second is not None
        assert first[1] != second[1]
        assert first[2] != second[2]
        os.kill(int(first[1]), signal.SIGKILL)
        until(lambda: (again := worker(0)) and again[1] != first[1], command)
        again = worker(0)
        assert again is not None
        assert again[2] == first[2]
        command.send(signal.SIGTERM)
        assert command.wait_for_end() == 0


def test_a_port_that_is_taken_keeps_no_worker_from_working(project: SampleProject) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        options = ("worker", "--index", "0", "--id", "0", "--metrics-port", port)
        with project.running(*options) as command:
            until(lambda: "worker.started" in command.output, command)
            assert "metrics.unserved" in command.output
            command.send(signal.SIGTERM)
            assert command.wait_for_end() == 0
