from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from asyncjobs.jsonb import keep_floats


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("1e23", "1" + "0" * 23 + ".0"),
        ("1E+2", "100.0"),
        ("-1.5e3", "-1500.0"),
        ("[1e1, 1, 1.0, 5e-324]", "[10.0, 1, 1.0, 5e-324]"),
        ('{"1e23": "2e5 \\" 3e5 \\\\", "x": 4e0}', '{"1e23": "2e5 \\" 3e5 \\\\", "x": 4.0}'),
        ("17", "17"),
    ],
)
def test_large_floats_are_written_out(text: str, kept: str) -> None:
    assert keep_floats(text) == kept


@given(st.recursive(st.floats(allow_nan=False, allow_infinity=False) | st.text(), st.lists))
@example(["\\", "1e5", 1e300, '"', 1e16])
def test_everything_else_stays_as_it_is(value: object) -> None:
    assert json.loads(keep_floats(json.dumps(value))) == value


def test_a_long_text_takes_no_long_time() -> None:
    text = json.dumps("1e5" * 4_000_000)

    assert keep_floats(text) == text  # and returns before the suite's timeout
