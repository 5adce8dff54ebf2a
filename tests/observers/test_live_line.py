"""One line of progress that is written over, for a run that a person waits for."""

import io

from asyncexec.observers.live_line import DELAY_SECONDS, EVERY_SECONDS, LiveLine
from tests.observers import scripted


class Clock:
    """A clock that a test moves."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def line_and_clock(stream):
    clock = Clock()
    return LiveLine(stream, clock=clock), clock


def test_a_run_that_ends_soon_shows_nothing():
    stream = io.StringIO()
    line, clock = line_and_clock(stream)
    for events in scripted.whole_run():
        line.observe(events)
        clock.now += DELAY_SECONDS / 100
        line.draw()
    line.close()
    assert stream.getvalue() == ""


def test_a_longer_run_is_shown_in_one_line_and_ends_with_its_figures():
    stream = io.StringIO()
    line, clock = line_and_clock(stream)
    for events in scripted.whole_run():
        line.observe(events)
        clock.now += DELAY_SECONDS
        line.draw()
    line.close()
    shown = stream.getvalue()
    assert shown.startswith("\r")
    assert shown.endswith("\n")
    assert shown.count("\n") == 1
    *drawn, last = shown.strip().split("\r")
    assert drawn
    assert all(" tasks" in each for each in drawn)
    assert "succeeded after" in last
    # What was longer is written over.
    assert len(shown.rstrip("\n").split("\r")[-1]) >= max(map(len, drawn))


def test_it_is_not_drawn_more_often_than_anybody_sees():
    stream = io.StringIO()
    line, clock = line_and_clock(stream)
    line.observe(next(iter(scripted.whole_run())))
    clock.now = DELAY_SECONDS
    for _ in range(100):
        line.draw()
        clock.now += EVERY_SECONDS / 50
    assert stream.getvalue().count("\r") <= 3


def test_a_line_that_cannot_be_written_does_not_end_the_run():
    stream = io.StringIO()
    stream.close()
    line, clock = line_and_clock(stream)
    line.observe(next(iter(scripted.whole_run())))
    clock.now = DELAY_SECONDS
    line.draw()
    line.close()
