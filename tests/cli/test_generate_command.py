"""``asyncjobs generate job``: names, places, and what is never overwritten."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import pytest

from asyncjobs.cli.generate import snake_case
from asyncjobs.errors import ConfigError
from asyncjobs.reference import AppReference

if TYPE_CHECKING:
    from shell import Shell

APP = """
from asyncjobs import JobManager, MemoryAdapter

{name} = JobManager(adapters={{"memory": MemoryAdapter()}}, queues=["{queue}"])
"""


def forget(module: str) -> None:
    del sys.modules[module]


@pytest.fixture
def app(shell: Shell) -> Shell:
    """A shell in a project whose app is the module gen_app.jobs."""
    shell.write("pyproject.toml", '[tool.asyncjobs]\napp = "gen_app.jobs:jobs"\n')
    shell.write("gen_app/jobs.py", APP.format(name="jobs", queue="default"))
    return shell


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("send_invoice", "send_invoice"),
        ("SendInvoice", "send_invoice"),
        ("sendInvoice", "send_invoice"),
        ("send-invoice", "send_invoice"),
        ("Send Invoice", "send_invoice"),
        ("SendPDFInvoice2", "send_pdf_invoice2"),
        ("__send__invoice__", "send_invoice"),
    ],
)
def test_names_become_those_of_functions(typed: str, name: str) -> None:
    assert snake_case(typed) == name


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("2fast", "begins with a digit"),
        ("send.invoice", "only letters"),
        ("../evil", "only letters"),
        ("", "empty"),
        ("_", "empty"),
        ("class", "keyword"),
        ("Match", "keyword"),
    ],
)
def test_what_cannot_be_a_name_is_refused_with_the_reason(typed: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        snake_case(typed)


def test_a_job_is_written_beside_the_app_and_known_to_its_manager(app: Shell) -> None:
    done = app.run("generate", "job", "SendInvoice")
    assert done.code == 0, done.err
    assert "gen_app/send_invoice_job.py" in done.out
    assert "tests/test_send_invoice_job.py" in done.out
    forget("gen_app.jobs")
    job = AppReference.find(None).load().registry["send_invoice"]
    assert asyncio.run(job.run(("Ada",), {})) == "send_invoice: Ada"


def test_the_queue_is_one_that_the_app_has(app: Shell) -> None:
    app.write("gen_app/jobs.py", APP.format(name="jobs", queue="mail"))
    assert app.run("generate", "job", "send_invoice").code == 0
    assert '@jobs.job(queue="mail")' in app.read("gen_app/send_invoice_job.py")


def test_the_manager_may_have_another_name_and_live_in_a_package(app: Shell) -> None:
    app.write("gen_pack/__init__.py", APP.format(name="manager", queue="default"))
    done = app.run("--app", "gen_pack:manager", "generate", "job", "send_invoice")
    assert done.code == 0, done.err
    assert "from gen_pack import manager" in app.read("gen_pack/send_invoice_job.py")
    assert "from gen_pack import send_invoice_job as" in app.read("gen_pack/__init__.py")


def test_files_that_exist_are_kept_without_force(app: Shell) -> None:
    app.write("tests/test_send_invoice_job.py", "mine")
    done = app.run("generate", "job", "send_invoice")
    assert done.code == 2
    assert "test_send_invoice_job.py already exists" in done.err
    assert not (app.folder / "gen_app" / "send_invoice_job.py").exists()
    assert app.run("generate", "job", "send_invoice", "--force").code == 0
    assert "asyncio.run" in app.read("tests/test_send_invoice_job.py")


@pytest.mark.parametrize("name", ["send_invoice", "send_job"])
def test_generating_again_adds_no_second_import(app: Shell, name: str) -> None:
    app.run("generate", "job", name)
    before = app.read("gen_app/jobs.py")
    forget("gen_app.jobs")
    assert app.run("generate", "job", name, "--force").code == 0
    assert app.read("gen_app/jobs.py") == before


def test_an_app_whose_lines_end_as_on_windows_keeps_that(app: Shell) -> None:
    file = app.folder / "gen_app" / "jobs.py"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert app.run("generate", "job", "send_invoice").code == 0
    lines = file.read_bytes().splitlines(keepends=True)
    assert lines[-1].startswith(b"from gen_app import send_invoice_job")
    assert all(line.endswith(b"\r\n") for line in lines)


def test_a_name_that_a_job_of_another_module_has_is_refused(app: Shell) -> None:
    source = APP.format(name="jobs", queue="default")
    app.write("gen_app/jobs.py", source + "\n@jobs.job\nasync def send_invoice() -> None: ...\n")
    done = app.run("generate", "job", "send_invoice")
    assert done.code == 2
    assert "there already is a job 'send_invoice'" in done.err


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("conftest.py", "# mine"),
        ("tests/__init__.py", ""),
        ("pytest.ini", "[pytest]\npythonpath = .\n"),
    ],
)
def test_no_conftest_is_written_where_pytest_finds_the_app(
    app: Shell, path: str, text: str
) -> None:
    app.write(path, text)
    assert app.run("generate", "job", "send_invoice").code == 0
    assert app.read(path) == text
    assert (app.folder / "conftest.py").exists() == (path == "conftest.py")
