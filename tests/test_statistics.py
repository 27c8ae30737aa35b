"""Histograms of durations, and what workers count."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncjobs.statistics import CLASSES, Tally, bound_of, class_of, percentile


@given(st.floats(min_value=1e-6, max_value=30_000))
def test_a_duration_is_within_its_class(duration: float) -> None:
    number = class_of(duration)
    assert 0 <= number < CLASSES
    assert duration <= bound_of(number) * (1 + 1e-12)
    assert duration > bound_of(number - 1) * (1 - 1e-12)


@pytest.mark.parametrize(
    ("duration", "number"), [(-5, 0), (0, 0), (1e-12, 0), (0.99, 40), (1.01, 41), (1e9, 71)]
)
def test_the_ends_take_what_is_beyond_them(duration: float, number: int) -> None:
    assert class_of(duration) == number


def test_percentiles_are_right_within_a_class() -> None:
    durations = sorted(random.Random(7).lognormvariate(-3, 1.5) for _ in range(10_000))
    histogram = [0] * CLASSES
    for duration in durations:
        histogram[class_of(duration)] += 1
    for share in (0.01, 0.5, 0.95, 0.99):
        exact = durations[int(share * len(durations))]
        found = percentile(histogram, share)
        assert found is not None
        assert exact / 1.05 <= found <= exact * 1.5


def test_an_empty_histogram_has_no_percentile() -> None:
    assert percentile([0] * CLASSES, 0.5) is None
    assert percentile([0] * 71 + [1], 0.5) == bound_of(71)


def test_tallies_add_up() -> None:
    one, other = Tally(succeeded=1, failed=2), Tally(succeeded=5, retried=1)
    one.runs[3], other.runs[3] = 2, 4
    one.add(other)
    assert (one.succeeded, one.failed, one.retried, one.runs[3]) == (6, 2, 1, 6)
