"""Finding the app: three places, and an answer that helps when none will do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from asyncjobs.errors import AppNotFoundError, ConfigError
from asyncjobs.manager import JobManager
from asyncjobs.reference import AppReference

if TYPE_CHECKING:
    from shell import Shell

APP = 'from asyncjobs import *\n{} = JobManager(adapters={{"memory": MemoryAdapter()}})\n'


def load(option: str | None = None) -> JobManager:
    return AppReference.find(option).load()


def test_the_option_counts_first_then_the_variable_then_pyproject(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.write("pyproject.toml", '[tool.asyncjobs]\napp = "first_app:jobs"\n')
    assert str(AppReference.find(None)) == "first_app:jobs"
    monkeypatch.setenv("ASYNCJOBS_APP", "second_app:jobs")
    assert str(AppReference.find(None)) == "second_app:jobs"
    assert str(AppReference.find("third_app:manager")) == "third_app:manager"


def test_the_attribute_is_jobs_if_not_given(shell: Shell) -> None:
    shell.write("plain_app.py", APP.format("jobs"))
    assert isinstance(load("plain_app"), JobManager)


def test_the_nearest_pyproject_upwards_counts_and_its_folder_is_imported_from(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.write("pyproject.toml", '[tool.asyncjobs]\napp = "upper_app.jobs:jobs"\n')
    shell.write("upper_app/jobs.py", APP.format("jobs"))
    deep = shell.write("deep/down/file").parent
    monkeypatch.chdir(deep)
    assert isinstance(load(), JobManager)


def test_the_src_folder_of_the_project_is_imported_from(shell: Shell) -> None:
    shell.write("src/src_app/jobs.py", APP.format("jobs"))
    assert isinstance(load("src_app.jobs"), JobManager)


def test_without_any_app_all_three_places_are_named(shell: Shell) -> None:
    done = shell.run("work")
    assert done.code == 2
    for place in ("--app module:attribute", "ASYNCJOBS_APP", "[tool.asyncjobs] app"):
        assert place in done.err
    assert done.err.startswith("error: ")


@pytest.mark.parametrize(
    ("option", "hint"),
    [("app/jobs.py", "'app.jobs:jobs'"), ("./app/jobs.py:later", "'app.jobs:later'")],
)
def test_a_path_is_answered_with_the_module(shell: Shell, option: str, hint: str) -> None:
    with pytest.raises(AppNotFoundError, match=f"did you mean {hint}"):
        AppReference.find(option)


def test_a_module_that_is_missing_is_named_with_the_folders(shell: Shell) -> None:
    with pytest.raises(AppNotFoundError, match="there is no module 'nowhere' in") as caught:
        load("nowhere.jobs")
    assert str(shell.folder) in str(caught.value)


def test_the_actual_problem_of_an_import_is_shown_with_its_place(shell: Shell) -> None:
    shell.write("broken_app.py", "x = 1\nx.missing\n")
    done = shell.run("--app", "broken_app", "work")
    assert done.code == 2
    assert "broken_app.py" in done.err
    assert "AttributeError: 'int' object has no attribute 'missing'" in done.err
    assert "importlib" not in done.err


def test_the_apps_own_line_is_shown_however_deep_in_libraries_the_problem_is(shell: Shell) -> None:
    shell.write("deep_app.py", "import json\n\nto = json.loads('[{]')  # ours\n")
    with pytest.raises(AppNotFoundError) as caught:
        load("deep_app")
    _, place, line, *rest = str(caught.value).splitlines()
    assert place.endswith('deep_app.py", line 3, in <module>')
    assert line.strip() == "to = json.loads('[{]')  # ours"
    assert rest[-1].startswith("json.decoder.JSONDecodeError")
    assert sum("  File " in each for each in rest) == 3


def test_frames_that_are_left_out_after_the_apps_own_are_counted(shell: Shell) -> None:
    shell.write(
        "site-packages/deep_library.py", "def f(n): return f(n - 1) + 0 * n if n else 1 / 0"
    )
    shell.write(
        "very_deep_app.py",
        "import sys\nsys.path.append('site-packages')\nimport deep_library\ndeep_library.f(9)\n",
    )
    with pytest.raises(AppNotFoundError, match=r"line 4, in <module>\n.*f\(9\)\n  ... 7 more\n"):
        load("very_deep_app")


@pytest.mark.parametrize(
    "line",
    [
        'jobs = JobManager(adapters={"p": MemoryAdapter()}, '
        'workers=[WorkerGroup(adapter="p", queue="emial")])',
        'group = WorkerGroup(adapter="p", concurrency=0)',  # through what dataclasses write
    ],
)
def test_an_error_of_the_apps_configuration_shows_its_line_and_none_of_this_package(
    shell: Shell, line: str
) -> None:
    shell.write("wrong_app.py", f"from asyncjobs import *\n\n{line}\n")
    with pytest.raises(AppNotFoundError) as caught:
        load("wrong_app")
    _, place, shown, *rest = str(caught.value).splitlines()
    assert place.endswith('wrong_app.py", line 3, in <module>')
    assert shown.strip() == line
    assert not any("  File " in each for each in rest)
    assert rest[-1].startswith("asyncjobs.errors.")


def test_a_module_missing_inside_the_app_is_the_apps_problem(shell: Shell) -> None:
    shell.write("half_app.py", "import not_there\n")
    with pytest.raises(AppNotFoundError, match=r'half_app.py", line 1(.|\n)*not_there'):
        load("half_app")


def test_an_error_in_the_apps_configuration_keeps_its_hint(shell: Shell) -> None:
    shell.write(
        "typo_app.py",
        APP.format("jobs") + '@jobs.job(queue="defualt")\nasync def job() -> None: ...\n',
    )
    with pytest.raises(AppNotFoundError, match="did you mean 'default'"):
        load("typo_app")


def test_a_syntax_error_is_shown_with_its_line(shell: Shell) -> None:
    shell.write("bad_app.py", "def (:\n")
    with pytest.raises(AppNotFoundError, match=r"def \(:(.|\n)*SyntaxError"):
        load("bad_app")


def test_a_module_that_exits_is_no_end_of_the_command(shell: Shell) -> None:
    shell.write("exit_app.py", "raise SystemExit(0)\n")
    with pytest.raises(AppNotFoundError, match="SystemExit"):
        load("exit_app")


def test_a_misspelt_attribute_is_answered_with_the_manager(shell: Shell) -> None:
    shell.write("named_app.py", APP.format("manager"))
    with pytest.raises(AppNotFoundError, match="no 'jobs'; did you mean 'named_app:manager'"):
        load("named_app")


def test_something_else_than_a_manager_is_refused(shell: Shell) -> None:
    shell.write("other_app.py", APP.format("jobs") + "later = 5\n")
    with pytest.raises(AppNotFoundError, match="'later' is no JobManager but 5"):
        load("other_app:later")


def test_a_pyproject_that_cannot_be_read_is_named(shell: Shell) -> None:
    shell.write("pyproject.toml", "[tool")
    with pytest.raises(ConfigError, match=r"pyproject.toml is not valid TOML"):
        load()
    shell.write("pyproject.toml", "[tool.asyncjobs]\napp = 5\n")
    with pytest.raises(ConfigError, match="app must be text, got 5"):
        load()
