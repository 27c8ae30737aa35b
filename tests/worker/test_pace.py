"""How many jobs are claimed ahead."""

from __future__ import annotations

import pytest

from asyncjobs.worker import pace
from asyncjobs.worker.pace import Pace


@pytest.mark.parametrize(
    ("claim", "seconds"),
    [
        (0.0, pace.AHEAD),
        (0.01, pace.AHEAD),
        (0.04, 0.12),  # else nothing would be left to start before the next claim is there
        (5.0, pace.MOST_SECONDS),
    ],
)
def test_what_is_held_lasts_for_some_claims(claim: float, seconds: float) -> None:
    found = Pace()
    found.started(300)
    rate = 300 / pace.WINDOW
    assert found.ahead(claim) == pytest.approx(rate * seconds, abs=1)


def test_few_jobs_are_not_held_for_longer() -> None:
    found = Pace()
    found.started(1)
    assert found.ahead(0.2) == 0


def test_no_more_than_a_bound_is_held() -> None:
    found = Pace()
    found.started(1_000_000)
    assert found.ahead(0.0) == pace.MOST_AHEAD
