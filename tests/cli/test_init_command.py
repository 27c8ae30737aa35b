"""``asyncjobs init`` and what it does to files that are there already."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest

from asyncjobs.reference import AppReference

if TYPE_CHECKING:
    from shell import Shell


def test_a_module_is_written_that_can_be_loaded(shell: Shell) -> None:
    shell.write("pyproject.toml", '# mine\n[project]\nname = "shop"\n')
    done = shell.run("init", "shop_jobs.py")
    assert done.code == 0
    assert "asyncjobs dev" in done.out
    assert AppReference.find(None).load().queues == ("default",)
    assert shell.read("pyproject.toml") == (
        '# mine\n[project]\nname = "shop"\n\n[tool.asyncjobs]\napp = "shop_jobs:jobs"\n'
    )


@pytest.mark.parametrize(
    ("existing", "written", "app"),
    [
        ("app/__init__.py", "app/jobs.py", "app.jobs:jobs"),
        ("app/main.py", "app/jobs.py", "app.jobs:jobs"),
        ("other/main.py", "jobs.py", "jobs:jobs"),
    ],
)
def test_the_module_goes_to_the_app_package_if_there_is_one(
    shell: Shell, existing: str, written: str, app: str
) -> None:
    shell.write(existing)
    done = shell.run("init")
    assert f"wrote {written}\n" in done.out
    assert str(AppReference.find(None)) == app


def test_a_module_in_src_is_named_without_it(shell: Shell) -> None:
    assert shell.run("init", "src/shop/jobs.py").code == 0
    assert str(AppReference.find(None)) == "shop.jobs:jobs"


def test_in_an_empty_folder_the_next_steps_find_the_app(shell: Shell) -> None:
    done = shell.run("init", "first_app/jobs.py")
    assert (
        'wrote pyproject.toml, which says [tool.asyncjobs] app = "first_app.jobs:jobs"' in done.out
    )
    assert shell.read("pyproject.toml") == '[tool.asyncjobs]\napp = "first_app.jobs:jobs"\n'
    assert "\n  asyncjobs dev  " in done.out
    assert "\n  asyncjobs generate job send_invoice  " in done.out
    assert shell.run("generate", "job", "send_invoice").code == 0


@pytest.mark.parametrize(
    ("pyproject", "variable"),
    [
        ('[tool.asyncjobs]\napp = "shop:jobs"\n', ""),
        ("tool = {asyncjobs = {}}\n", ""),  # no line can be added to it
        ("", "shop:jobs"),
    ],
)
def test_where_the_new_app_is_not_the_one_that_counts_the_next_steps_name_it(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, pyproject: str, variable: str
) -> None:
    shell.write("pyproject.toml", pyproject)
    monkeypatch.setenv("ASYNCJOBS_APP", variable)
    out = shell.run("init", "second_app.py").out
    for step in ("dev  ", "generate job send_invoice  ", "migrate && ", "work\n"):
        assert f"asyncjobs --app second_app:jobs {step}" in out
    done = shell.run("--app", "second_app:jobs", "generate", "job", "send_invoice")
    assert done.code == 0


def test_nothing_is_overwritten_without_force(shell: Shell) -> None:
    shell.write("jobs.py", "mine")
    done = shell.run("init")
    assert (done.code, shell.read("jobs.py")) == (2, "mine")
    assert "jobs.py already exists; --force overwrites it" in done.err
    assert shell.run("init", "--force").code == 0
    assert "JobManager" in shell.read("jobs.py")


@pytest.mark.parametrize(
    "text",
    ["[tool.asyncjobs]\n", "[tool.asyncjobs] # ours", '[tool.asyncjobs]\n# x\n[a]\nb = "c"\n', ""],
)
def test_the_rest_of_pyproject_is_kept(shell: Shell, text: str) -> None:
    shell.write("pyproject.toml", text)
    assert shell.run("init").code == 0
    after = shell.read("pyproject.toml")
    assert tomllib.loads(after)["tool"]["asyncjobs"]["app"] == "jobs:jobs"
    assert [line for line in after.splitlines() if line != 'app = "jobs:jobs"'][
        : len(text.splitlines())
    ] == text.splitlines()


def test_lines_that_end_as_on_windows_go_on_to(shell: Shell) -> None:
    file = shell.write("pyproject.toml")
    file.write_bytes(b'# mine\r\n[project]\r\nname = "shop"\r\n')
    assert shell.run("init").code == 0
    assert file.read_bytes() == (
        b'# mine\r\n[project]\r\nname = "shop"\r\n\r\n[tool.asyncjobs]\r\napp = "jobs:jobs"\r\n'
    )


def test_a_pyproject_that_names_an_app_is_left_alone(shell: Shell) -> None:
    text = '[tool.asyncjobs]\napp = "shop:jobs"\n'
    shell.write("pyproject.toml", text)
    done = shell.run("init")
    assert "already says app = 'shop:jobs'; change that to 'jobs:jobs'" in done.out
    assert shell.read("pyproject.toml") == text


def test_a_pyproject_that_no_line_can_be_added_to_is_left_alone(shell: Shell) -> None:
    text = "tool = {asyncjobs = {}}\n"
    shell.write("pyproject.toml", text)
    assert "add to pyproject.toml" in shell.run("init").out
    assert shell.read("pyproject.toml") == text


def test_a_module_in_whose_place_a_package_would_be_imported_is_refused(shell: Shell) -> None:
    shell.write("jobs/__init__.py", "")
    shell.write("app/work/__init__.py", "")
    for words in ((), ("jobs.py",), ("app/work.py",), ("jobs.py", "--force")):
        done = shell.run("init", *words)
        assert done.code == 2, words
        assert "beside it is, by that name; give another path" in done.err
    for path in ("asyncjobs.py", "src/asyncjobs.py", "asyncjobs/jobs.py"):
        done = shell.run("init", path)
        assert done.code == 2, path
        assert "which is named asyncjobs too; give another path" in done.err
    assert {file.name for file in shell.folder.iterdir()} == {"jobs", "app"}
    shell.write("tasks/readme.txt", "no package: a module beside it is found first")
    for path in ("jobs/first.py", "app/asyncjobs.py", "tasks.py"):
        assert shell.run("init", path).code == 0, path


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("jobs.txt", "is not a .py file"),
        ("../jobs.py", "is not a .py file in"),
        ("my-app/jobs.py", "'my-app' is not a name"),
        ("class.py", "'class' is not a name"),
    ],
)
def test_a_path_that_cannot_be_imported_is_refused(shell: Shell, path: str, problem: str) -> None:
    done = shell.run("init", path)
    assert done.code == 2
    assert problem in done.err
    assert [file.name for file in shell.folder.iterdir()] == []
