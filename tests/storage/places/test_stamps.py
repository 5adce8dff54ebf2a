"""Names of runs, by which chunks of two runs are told apart."""

import time

from asyncexec.storage.places.stamps import new_run


def test_names_of_runs_that_begin_later_are_greater_also_at_the_same_moment():
    names = [new_run() for _ in range(2_000)]
    assert names == sorted(set(names))


def test_names_of_runs_grow_when_the_clock_is_set_back(monkeypatch):
    before = new_run()
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    assert before < new_run()
