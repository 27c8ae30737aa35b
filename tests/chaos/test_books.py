"""The books find what they are for, and nothing else."""

from __future__ import annotations

import pytest
from books import SECOND, Books, Life
from record import Line


def kept(*lines: str, books: Books | None = None) -> Books:
    """Return books that took *lines*; moments are seconds after the third number."""
    books = books or Books({})
    for text in lines:
        line = Line.parse(text)
        books.take(line._replace(at=line.at * SECOND))
    return books


def knowing(deaths: dict[int, int] | None = None, **life: object) -> Books:
    """Return books that know of job 7, stored at second 1."""
    books = Books({pid: at * SECOND for pid, at in (deaths or {}).items()})
    books.stored(7, Life(stored_at=SECOND, **life))  # type: ignore[arg-type]
    return books


def said(books: Books) -> str:
    """Return the one thing that is wrong."""
    [wrong] = books.wrong
    return wrong


def test_a_good_life_is_not_complained_of() -> None:
    books = kept("begin 7 1 100 2", "succeeded 7 1 100 3", books=knowing())
    books.close()
    assert books.wrong == []
    assert [*books.latencies] == [1.0]


def test_two_runs_at_once_are_found() -> None:
    books = kept("begin 7 1 100 2", "begin 7 1 200 3", books=knowing())
    assert said(books) == "job 7 runs in 200 while it runs in 100"


def test_a_run_that_follows_a_kill_is_none_of_two_at_once() -> None:
    books = kept("begin 7 1 100 2", books=knowing({100: 3}))
    books.lose(7, 1, 100)
    kept("begin 7 2 200 4", "succeeded 7 2 200 5", books=books)
    books.close()
    assert books.wrong == []


def test_a_run_before_the_kill_is_one_of_two_at_once() -> None:
    books = kept("begin 7 1 100 2", books=knowing({100: 5}))
    books.lose(7, 1, 100)
    kept("begin 7 2 200 4", books=books)
    assert said(books) == "job 7 runs in 200 while it runs in 100"


def test_a_run_after_the_success_is_found() -> None:
    books = kept("begin 7 1 100 2", "succeeded 7 1 100 3", "begin 7 1 200 4", books=knowing())
    assert said(books).startswith("job 7: attempt 1 in 200 after")


def test_a_success_that_a_kill_undid_may_run_again() -> None:
    books = kept("begin 7 1 100 2", "succeeded 7 1 100 3", books=knowing({100: 4}))
    books.lose(7, 1, 100)
    books.close()
    assert said(books) == "1 calls never ended: [7]"
    books.wrong.clear()
    kept("begin 7 2 200 5", "succeeded 7 2 200 6", books=books)
    books.close()
    assert books.wrong == []


@pytest.mark.parametrize("attempt", [1, 3])
def test_attempts_that_nothing_explains_are_found(attempt: int) -> None:
    books = kept("begin 7 1 100 2", "failed 7 1 100 3", books=knowing())
    kept(f"begin 7 {attempt} 100 4", books=books)
    assert said(books).startswith(f"job 7: attempt {attempt} in 100 after")


def test_the_second_loss_costs_no_attempt() -> None:
    books = knowing({100: 3, 200: 5})
    for attempt, pid, at in ((1, 100, 2), (2, 200, 4)):
        kept(f"begin 7 {attempt} {pid} {at}", books=books)
        books.lose(7, attempt, pid)
    kept("begin 7 2 300 6", "succeeded 7 2 300 7", books=books)
    books.close()
    assert books.wrong == []


def test_calls_that_never_ran_or_never_ended_are_found() -> None:
    for lines in ([], ["begin 7 1 100 2"], ["begin 7 1 100 2", "failed 7 1 100 3"]):
        books = kept(*lines, books=knowing())
        books.close()
        assert said(books) == "1 calls never ended: [7]"


def test_a_job_that_fails_for_good_is_over_when_its_attempts_are() -> None:
    books = kept("begin 7 1 100 2", "failed 7 1 100 3", books=knowing(attempts=1))
    books.close()
    assert books.wrong == []
    kept("begin 7 2 100 4", books=books)
    assert said(books).startswith("job 7: attempt 2 in 100 after")


def test_what_is_cancelled_need_not_run() -> None:
    books = knowing(may_be_cancelled=True)
    books.close()
    assert books.wrong == []


def test_jobs_that_nobody_stored_are_found() -> None:
    books = kept("begin 8 1 100 2")
    books.close()
    assert said(books) == "jobs that nobody stored ran: [8]"


def test_lines_from_before_the_acknowledgement_are_judged_after_it() -> None:
    books = kept("begin 7 1 100 2", "begin 7 1 200 3")
    assert books.wrong == []
    books.stored(7, Life(SECOND))
    assert said(books) == "job 7 runs in 200 while it runs in 100"


def test_losses_from_before_the_acknowledgement_are_judged_in_their_turn() -> None:
    books = kept("begin 7 1 100 2", books=Books({100: 3 * SECOND}))
    books.lose(7, 1, 100)
    kept("begin 7 2 200 4", "succeeded 7 2 200 5", books=books)
    books.stored(7, Life(SECOND))
    books.close()
    assert books.wrong == []


def test_an_attempt_that_begins_again_after_its_loss_is_found() -> None:
    for is_known in (False, True):
        books = knowing({100: 3}) if is_known else Books({100: 3 * SECOND})
        books.lose(7, 1, 100)
        kept("begin 7 1 200 4", books=books)
        books.stored(7, books.lives.get(7, Life(SECOND)))
        assert said(books).startswith("job 7: attempt 1 in 200 after")


def test_a_beginning_before_its_time_is_found() -> None:
    assert kept("begin 7 1 100 5", books=knowing(not_before=5 * SECOND)).wrong == []
    books = kept("begin 7 1 100 4", books=knowing(not_before=5 * SECOND))
    assert said(books).startswith(f"job 7 begins {SECOND} ns early in 100")


def test_a_retry_before_its_time_is_found() -> None:
    lines = ["begin 7 1 100 2", "failed 7 1 100 3", "begin 7 2 100 5"]
    assert kept(*lines, books=knowing(backoff=2)).wrong == []
    assert "ns early in 100" in said(kept(*lines, books=knowing(backoff=3)))


def test_a_retry_need_not_wait_if_the_failure_was_lost() -> None:
    books = kept("begin 7 1 100 2", "failed 7 1 100 3", books=knowing({100: 4}, backoff=60))
    books.lose(7, 1, 100)
    kept("begin 7 2 200 10", books=books)
    assert books.wrong == []


def limited(*lines: str, deaths: dict[int, int] | None = None) -> Books:
    books = Books({pid: at * SECOND for pid, at in (deaths or {}).items()}, {"key:a": 2})
    for job in range(1, 5):
        books.stored(job, Life(SECOND))
    return kept(*lines, books=books)


def test_a_lane_over_its_limit_is_found() -> None:
    lines = [f"begin {job} 1 100 {job + 1} lanes=key:a,queue:b" for job in (1, 2, 3)]
    assert said(limited(*lines)) == "3 run in key:a at once: [1, 2, 3]"
    assert limited(*lines[:2]).wrong == []


def test_a_lane_has_room_again_when_one_ends_or_is_killed() -> None:
    begin = [f"begin {job} 1 {job}00 {job + 1} lanes=key:a" for job in (1, 2, 3)]
    assert limited(*begin[:2], "failed 1 1 100 4", begin[2]).wrong == []
    assert limited(*begin, deaths={100: 4}).wrong == []
    assert limited(*begin, deaths={100: 5}).wrong != []
    assert limited(*begin).most_in_lanes == {"key:a": 3}


def test_a_turn_that_was_overtaken_is_found() -> None:
    first, second = "begin 1 1 100 {} lanes=key:a turn=1", "begin 2 1 100 {} lanes=key:a turn=2"
    failed = ["failed 1 1 100 3", "begin 1 2 100 4 lanes=key:a turn=1", "succeeded 1 2 100 5"]
    assert limited(first.format(2), *failed, second.format(6)).wrong == []
    books = limited(second.format(2), "succeeded 2 1 100 3", first.format(4))
    assert said(books) == "turn 1 of key:a begins after turn 2"


def tick_of(job: int, tick: int, *, attempt: int = 1, late: int = 5) -> str:
    """Return the line of a run of the schedule s."""
    return f"begin {job} {attempt} 100 {attempt * 5} schedule=s tick={tick} late={late}"


def test_a_tick_with_two_jobs_is_found() -> None:
    books = kept(
        tick_of(1, 1000),
        tick_of(2, 1000),
    )
    assert said(books) == "tick 1000 of s has jobs 1 and 2"


def test_a_tick_whose_only_job_is_tried_again_is_well() -> None:
    books = kept(
        tick_of(1, 1000),
        "failed 1 1 100 3",
        tick_of(1, 1000, attempt=2),
        "succeeded 1 2 100 3",
    )
    books.expect_ticks("s", 1000, 1000, 1000)
    books.close()
    assert books.wrong == []


def test_a_run_before_its_tick_is_found() -> None:
    books = kept(tick_of(1, 1000, late=-5))
    assert said(books) == "job 1 begins 5 ns before tick 1000 of s"


def test_ticks_that_never_ran_or_should_not_are_found() -> None:
    books = Books({})
    for job, tick in ((1, 1000), (2, 2000), (3, 4000)):
        kept(tick_of(job, tick), books=books)
    books.expect_ticks("s", 1000, 2000, 1000)
    assert said(books) == "1 ticks of s should not run: [4000]"
    books.wrong.clear()
    books.expect_ticks("s", 1000, 4000, 1000)
    assert said(books) == "1 ticks of s never ran: [3000]"


def test_a_tick_whose_run_never_ended_is_found() -> None:
    books = kept(tick_of(1, 1000))
    books.close()
    assert said(books) == "1 calls never ended: [1]"


def test_what_is_forgotten_and_runs_again_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("books.UNDONE_WITHIN", -1.0)
    books = kept("begin 7 1 100 2", "succeeded 7 1 100 3", books=knowing())
    kept(tick_of(1, 1000), "succeeded 1 1 100 3", books=books)
    books.forget()
    assert not books.lives
    kept("begin 7 1 100 9", tick_of(1, 1000), books=books)
    books.close()
    assert said(books) == "jobs that nobody stored ran: [7, 1]"
