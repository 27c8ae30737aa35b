"""The checks find what they are for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from record import JobRow, Record, miscounted, missing, overlaps, unaccounted

if TYPE_CHECKING:
    from pathlib import Path

LOST, FAILED = '{"error": "WorkerLost"}', '{"error": "ValueError"}'


def recorded(folder: Path, *lines: str) -> Record:
    (folder / "record").write_text("".join(f"{line}\n" for line in lines))
    return Record.read(folder / "record")


def test_two_runs_at_once_are_found(tmp_path: Path) -> None:
    one, two = "begin 7 1 100 10", "begin 7 2 200 20"
    for record in (
        recorded(tmp_path, one, two, "succeeded 7 1 100 30", "succeeded 7 2 200 40"),
        recorded(tmp_path, one, two, "succeeded 7 2 200 40"),
    ):
        [(earlier, later)] = overlaps(record, deaths={})
        assert (earlier.pid, later.pid) == (100, 200)


def test_a_line_that_is_half_written_is_left_for_later(tmp_path: Path) -> None:
    path = tmp_path / "record"
    path.write_text("begin 7 1 100 10\nsucceed")
    [run] = Record.read(path).all()
    assert run.how is None


def test_runs_one_after_the_other_are_none(tmp_path: Path) -> None:
    lines = ["begin 7 1 100 10", "failed 7 1 100 15", "begin 7 2 100 16", "begin 7 3 200 30"]
    assert overlaps(recorded(tmp_path, *lines), deaths={100: 29}) == []
    assert overlaps(recorded(tmp_path, *lines), deaths={100: 31}) != []


def test_what_follows_the_end_of_a_lease_is_excused(tmp_path: Path) -> None:
    lines = ["begin 7 1 100 10", "begin 7 2 200 30", "cancelled 7 1 100 40"]
    record = recorded(tmp_path, *lines)
    assert overlaps(record, deaths={}, lapses={100: 30}) == []
    assert overlaps(record, deaths={}, lapses={100: 31}) != []


def test_a_job_that_never_succeeded_is_missing(tmp_path: Path) -> None:
    record = recorded(tmp_path, "begin 7 1 1 1", "failed 7 1 1 2", "begin 8 1 1 3")
    assert missing(record, [7, 8, 9]) == {7, 8, 9}
    record = recorded(tmp_path, "begin 7 1 1 1", "succeeded 7 1 1 2")
    assert missing(record, [7]) == set()


def test_a_job_that_is_gone_or_never_did_what_its_row_says_is_unaccounted(tmp_path: Path) -> None:
    record = recorded(tmp_path, "begin 7 1 1 1", "succeeded 7 1 1 2", "begin 8 1 1 3")
    row = JobRow(7, "quick", "succeeded", 1, None)
    assert unaccounted(record, [row, row._replace(id=8, state="running")], [7, 8]) == set()
    assert unaccounted(record, [row, row._replace(id=8)], [7, 8]) == {8}
    assert unaccounted(record, [row], [7, 8]) == {8}


def test_attempts_that_do_not_add_up_are_found(tmp_path: Path) -> None:
    record = recorded(tmp_path, "begin 7 1 1 1", "begin 7 2 1 2", "succeeded 7 2 1 3")
    right = JobRow(7, "quick", "succeeded", 2, f"[{LOST}]")
    assert miscounted(record, [right]) == []
    for wrong in (
        right._replace(attempt=3),
        right._replace(attempt=1, errors=None),
        right._replace(errors=f"[{FAILED}]"),
    ):
        assert [row for row, _ in miscounted(record, [wrong])] == [wrong]


def test_the_second_loss_costs_nothing(tmp_path: Path) -> None:
    lines = ["begin 7 1 1 1", "begin 7 2 2 2", "begin 7 2 3 3", "succeeded 7 2 3 4"]
    record = recorded(tmp_path, *lines)
    assert miscounted(record, [JobRow(7, "quick", "succeeded", 2, f"[{LOST}, {LOST}]")]) == []
