"""The checks of limited jobs and of ticks find what they look for."""

from __future__ import annotations

from turns import LANE, Lanes, Ticks

ONE, THREE = 1, 2
WIDTHS = {ONE: 1, THREE: 3}


def test_a_lane_that_holds_too_many_is_found() -> None:
    lanes = Lanes(WIDTHS, deaths={})
    for job in range(3):
        lanes.enter(job, THREE * LANE + job, 10, job)
    assert lanes.wrong == []
    lanes.enter(3, THREE * LANE, 11, 5)
    assert lanes.wrong == ["lane 2 of 3 holds [0, 1, 2, 3]"]


def test_who_left_or_was_killed_is_in_no_lane() -> None:
    lanes = Lanes(WIDTHS, deaths={10: 7})
    lanes.enter(1, ONE * LANE + 1, 9, 1)
    lanes.leave(1, ONE * LANE + 1, 9)
    lanes.enter(2, ONE * LANE + 2, 10, 2)
    lanes.enter(2, ONE * LANE + 2, 11, 8)
    assert lanes.wrong == []
    lanes.leave(2, ONE * LANE + 2, 10)  # the word of a dead process, read late
    lanes.enter(3, ONE * LANE + 3, 11, 9)
    assert lanes.wrong == ["lane 1 of 1 holds [2, 3]"]


def test_a_turn_before_its_time_is_found() -> None:
    lanes = Lanes(WIDTHS, deaths={})
    for turn in (1, 1, 3, 2):
        lanes.enter(turn, ONE * LANE + turn, 9, turn)
        lanes.leave(turn, ONE * LANE + turn, 9)
    assert lanes.wrong == ["lane 1: turn 2 after 3"]


def test_a_tick_without_a_run_and_one_with_two_are_found() -> None:
    ticks = Ticks()
    assert ticks.wrong() == ["no tick was run"]
    for job, tick in [(1, 100), (1, 100), (2, 101), (3, 103), (4, 103)]:
        ticks.take(job, tick)
    assert ticks.wrong() == ["tick 103 has the runs {3, 4}", "ticks without a run: [102]"]
