"""Model workers behave alike wherever they live: what a host is told, in which order."""

from heapq import heappop, heappush
from itertools import count

import pytest

from asyncexec.backends.contract import AttemptSpec, Batch, StageProgram
from asyncexec.backends.model_workers import ModelWorkers
from asyncexec.events.outcome import Outcome, Status


class Host:
    """A clock by hand and so many workers; attempts run for ``seconds``, by task."""

    def __init__(self, seconds, *, workers=1, **options):
        self.now = 0.0
        self.seconds = seconds
        self.told = []
        self.free = [f"w{n}" for n in range(workers)]
        self.workers = ModelWorkers(self, **options)
        self._names = count(workers)
        self._heap, self._order = [], count()

    def at(self, time, act, subject):
        heappush(self._heap, (time, next(self._order), act, subject))

    def run(self):
        while self._heap:
            self.now, _, act, subject = heappop(self._heap)
            act(subject)

    def take_worker(self, apart_from):
        return self.free.pop() if self.free else None

    def release(self, worker, *, dead):
        self.free.append(f"w{next(self._names)}" if dead else worker)

    def begins(self, attempt):
        return self.seconds[attempt.job.task], False

    def ended(self, attempt, status):
        self.told.append((self.now, attempt.job.task, status.name, attempt.worker))

    def overstayed(self, attempt):
        self.told.append((self.now, attempt.job.task, "overstayed", attempt.worker))

    def report(self, report):
        assert isinstance(report, Outcome)
        self.told.append((self.now, report.attempt, report.status.name, ""))


def batch(*tasks):
    program = StageProgram(key="k", plan="p", stage="s", kernel=abs, shape=(100,))
    return Batch(program, tuple(AttemptSpec(task, task) for task in tasks))


def cancelled_at(host, time, attempt):
    host.at(time, host.workers.cancel, attempt)
    host.run()
    return host.told


def test_a_kill_takes_its_time_and_the_rest_of_the_batch():
    host = Host([10, 10, 5], kills=True, kill_seconds=2)
    host.workers.submit(batch(0, 1))
    host.workers.submit(batch(2))
    assert cancelled_at(host, 3, 0) == [
        (5, 0, "CANCELLED", "w0"),
        (5, 1, "LOST", ""),
        (10, 2, "SUCCEEDED", "w1"),
    ]


def test_what_is_given_up_holds_its_worker_to_its_end_and_the_batch_goes_on_then():
    host = Host([10, 5], kills=False, holds=True)
    host.workers.submit(batch(0, 1))
    assert cancelled_at(host, 3, 0) == [
        (3, 0, "CANCELLED", "w0"),
        (10, 0, "overstayed", "w0"),
        (15, 1, "SUCCEEDED", "w0"),
    ]
    assert host.workers.held == 0


def test_where_workers_are_not_held_another_takes_the_place_at_once():
    host = Host([10, 5], kills=False)
    host.workers.submit(batch(0, 1))
    assert cancelled_at(host, 3, 0) == [
        (3, 0, "CANCELLED", "w0"),
        (8, 1, "SUCCEEDED", "w1"),
        (10, 0, "overstayed", "w0"),
    ]


@pytest.mark.parametrize("kills", [True, False])
def test_what_waits_is_dropped_and_what_is_unknown_is_said_to_be(kills):
    host = Host([10, 5], kills=kills)
    host.workers.submit(batch(0, 1))
    assert host.workers.cancel(1)
    assert not host.workers.cancel(1)
    assert not host.workers.cancel(7)
    host.run()
    assert host.told == [(0, 1, "CANCELLED", ""), (10, 0, "SUCCEEDED", "w0")]


def test_a_worker_that_is_lost_says_what_it_ran():
    host = Host([10, 5], kills=True)
    host.workers.submit(batch(0, 1))
    lost = host.workers.lose("w0")
    assert (lost.job.task, lost.begun, lost.wanted) == (0, True, True)
    assert host.workers.lose("w0") is None
    host.run()
    assert host.told == [(0, 1, "LOST", "")]


def test_starts_keep_their_distance():
    host = Host([1, 1, 1], workers=3, kills=True, starts_per_second=0.5)
    for task in range(3):
        host.workers.submit(batch(task))
    host.run()
    assert [time for time, *_ in host.told] == [1, 3, 5]


def test_an_attempt_that_dies_takes_its_worker_along():
    host = Host([1, 1, 1], kills=True)
    begins = host.begins

    def dies(attempt):
        attempt.status = Status.LOST if attempt.job.task == 0 else Status.SUCCEEDED
        return begins(attempt)

    host.begins = dies
    host.workers.submit(batch(0, 1))
    host.workers.submit(batch(2))
    host.run()
    assert host.told == [(1, 0, "LOST", "w0"), (1, 1, "LOST", ""), (2, 2, "SUCCEEDED", "w1")]
