"""``init``, ``generate`` and ``dev`` in a fresh folder, as a new user types them."""

from __future__ import annotations

import os
import re
import signal
from typing import TYPE_CHECKING

import psutil
from sample_project import BOUND, SampleProject, until

if TYPE_CHECKING:
    from pathlib import Path


def test_a_generated_job_has_a_test_that_passes_and_is_known_to_workers(
    bare_project: SampleProject,
) -> None:
    (bare_project.folder / "pyproject.toml").write_text('[project]\nname = "shop"\n')
    assert bare_project.asyncjobs("init").returncode == 0
    done = bare_project.asyncjobs("generate", "job", "SendInvoice")
    assert done.returncode == 0, done.stderr
    tested = bare_project.run("pytest", "-q", "-p", "no:cacheprovider", "-W", "error")
    assert tested.returncode == 0, tested.stdout
    assert "1 passed" in tested.stdout
    known = bare_project.asyncjobs("generate", "job", "send-invoice")
    assert "already exists" in known.stderr


def test_a_job_generated_in_a_package_passes_its_test_too(bare_project: SampleProject) -> None:
    (bare_project.folder / "pyproject.toml").write_text("")
    (bare_project.folder / "app").mkdir()
    (bare_project.folder / "app" / "__init__.py").touch()
    assert bare_project.asyncjobs("init").returncode == 0
    assert bare_project.asyncjobs("generate", "job", "send_invoice").returncode == 0
    tested = bare_project.run("pytest", "-q", "-p", "no:cacheprovider", "tests")
    assert "1 passed" in tested.stdout, tested.stdout


def test_dev_runs_jobs_on_a_database_of_its_own_and_reloads(reachable_path: Path) -> None:
    project = SampleProject(reachable_path, None)
    project.write_app()
    app = project.folder / "sample.py"
    source = app.read_text()
    with project.running("dev", "--port", "0") as command:
        command.wait_for("worker.started")
        project.dsn = re.findall(r"ASYNCJOBS_DATABASE_URL=(\S+)", command.output)[0]
        project.schedule("write_note", "first")
        project.wait_for_notes("first")

        app.write_text(source + "\nimport nowhere\n")
        assert command.wait_for("workers.ended")["exit_code"] == 2
        assert "No module named 'nowhere'" in command.output

        app.write_text(source.replace("    note(text)", '    note("new " + text)'))
        command.wait_for("worker.started", count=2)
        project.schedule("write_note", "second")
        until(lambda: "new second" in project.notes(), command)

        command.send(signal.SIGINT)
        assert command.wait_for_end() == 0
    assert os.listdir(project.folder / ".asyncjobs")


def test_dev_takes_the_database_that_is_configured(project: SampleProject) -> None:
    with project.running("dev") as command:
        command.wait_for("worker.started")
        project.schedule("write_note", "done")
        project.wait_for_notes("done")
        command.send(signal.SIGTERM)
        assert command.wait_for_end() == 0
    assert "PostgreSQL for other programs" not in command.output


def test_dev_does_not_let_a_running_job_hold_a_reload_up(project: SampleProject) -> None:
    with project.running("dev") as command:
        project.schedule("wait_for_release")
        project.wait_for_notes("started")
        with (project.folder / "sample.py").open("a") as app:
            app.write("\n")
        project.wait_for_notes("started", "cancelled", "started")
        command.send(signal.SIGTERM)
        project.release()
        assert command.wait_for_end() == 0
    assert command.events("source.changed")[0]["paths"] == ["sample.py"]


def test_nothing_outlives_a_killed_dev(reachable_path: Path) -> None:
    project = SampleProject(reachable_path, None)
    project.write_app()
    with project.running("dev", "--port", "0") as command:
        command.wait_for("worker.started")
        started = psutil.Process(command.process.pid).children(recursive=True)
        assert any(process.name() == "postgres" for process in started)
        command.process.kill()
        _, left = psutil.wait_procs(started, timeout=BOUND)
        assert [each for each in left if each.status() != psutil.STATUS_ZOMBIE] == []
