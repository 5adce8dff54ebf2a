"""The driver asks what it needs to know once, each time that something comes back."""

from collections import Counter

import pytest

import asyncexec as ax
from asyncexec.backends.threads import ThreadsBackend
from asyncexec.errors import BackendError
from asyncexec.scheduler.dispatch import Dispatch
from asyncexec.scheduler.driver import Driver


@pytest.fixture
def calls(monkeypatch):
    """How often each method of the dispatch was called."""
    counted = Counter()

    def counting(name):
        method = getattr(Dispatch, name)

        def call(self, *arguments):
            counted[name] += 1
            return method(self, *arguments)

        return call

    for name in ("add", "take_in", "tick", "advance", "next_deadline"):
        monkeypatch.setattr(Dispatch, name, counting(name))
    return counted


class Counting(ThreadsBackend):
    asked = 0

    @property
    def slots(self):
        self.asked += 1
        return super().slots


async def test_the_next_deadline_is_asked_for_once_after_each_change(calls):
    async with ax.Engine("threads") as engine:
        await engine.execute(ax.Plan.map(abs, range(500)), timeout=60)
        assert calls["take_in"] > 0
        assert calls["next_deadline"] == calls["add"] + calls["take_in"] + calls["tick"]


async def test_slots_are_counted_once_to_send_and_once_for_the_clock(calls):
    backend = Counting(max_workers=2)
    async with ax.Engine(backend) as engine:
        backend.asked = 0
        await engine.execute(ax.Plan.map(abs, range(500)))
    assert backend.asked <= calls["advance"] + calls["next_deadline"] + 1


async def test_reports_of_a_chain_are_taken_in_without_a_turn_of_the_loop_for_each(monkeypatch):
    stages = 60
    plan = ax.Plan.map(abs, [-1])
    for _ in range(stages - 1):
        plan = plan.then(abs)
    taken = Counter()
    at_once = Driver._take_at_once

    def counted(self, reports):
        took = at_once(self, reports)
        taken[took] += len(reports)
        return took

    monkeypatch.setattr(Driver, "_take_at_once", counted)
    async with ax.Engine("threads") as engine:
        assert (await engine.execute(plan)).value == [1]
    assert taken[True] >= 0.9 * stages, taken


async def test_what_the_scheduler_raises_at_once_ends_the_run_with_it(monkeypatch):
    def broken(self, reports, now):
        raise ZeroDivisionError("a mistake of the scheduler")

    async with ax.Engine("threads") as engine:
        monkeypatch.setattr(Dispatch, "take_in", broken)
        with pytest.raises(BackendError, match="a mistake of the scheduler"):
            await engine.execute(ax.Plan.map(abs, [-1]))
