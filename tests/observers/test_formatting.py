"""Figures as people read them."""

import pytest
from hypothesis import given, strategies as st

from asyncexec.events.stage_result import StageResult
from asyncexec.observers import formatting


@pytest.mark.parametrize(
    "duration, text",
    [
        (0.0, "0 ms"),
        (0.00254, "2.5 ms"),
        (0.00999, "10 ms"),
        (0.0342, "34 ms"),
        (1.0, "1 s"),
        (7.25, "7.25 s"),
        (12.34, "12.3 s"),
        (59.99, "60.0 s"),
        (59.999, "1:00"),
        (247.0, "4:07"),
        (8100.0, "2:15:00"),
    ],
)
def test_durations(duration, text):
    assert formatting.seconds(duration) == text


@given(st.floats(0, 1e7))
def test_every_duration_has_a_short_text(duration):
    assert 1 <= len(formatting.seconds(duration)) <= 10


@pytest.mark.parametrize(
    "per_second, text",
    [(12_345.6, "12,346/s"), (10.0, "10/s"), (2.25, "2.2/s"), (0.5, "30.0/min"), (0.0, "0.0/min")],
)
def test_rates(per_second, text):
    assert formatting.rate(per_second) == text


def test_troubles_are_told_only_where_there_are_any():
    assert formatting.incidents([StageResult(name="a"), StageResult(name="b")]) == ""
    stages = [
        StageResult(name="a", retries=1),
        StageResult(name="b", backups=2, lost=1, timed_out=3),
    ]
    assert formatting.incidents(stages) == "1 retry, 2 backups, 1 lost, 3 timed out"


@given(st.text(), st.integers(1, 50))
def test_a_first_line_is_one_line_and_no_longer_than_asked(text, limit):
    line = formatting.first_line(text, limit)
    assert "\n" not in line
    assert len(line) <= limit
