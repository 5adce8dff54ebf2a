"""Attempts of one batch that share an event loop: what is stopped before the batch has started has ended."""

from asyncexec.events.outcome import Status
from asyncexec.worker.concurrent_runner import ConcurrentRunner
from asyncexec.worker.forks import FORKS
from asyncexec.worker.lanes import Lanes
from asyncexec.worker.records import AttemptSpec


class Reports:
    """A sink that keeps what it is told."""

    def __init__(self):
        self.begun, self.outcomes = [], []

    def started(self, attempt):
        self.begun.append(attempt)

    def ended(self, outcome):
        self.outcomes.append(outcome)


def never():
    raise AssertionError("no program is wanted")


async def test_a_batch_that_is_stopped_before_its_start_ends_once_and_never_starts():
    reports, ends = Reports(), []
    runner = ConcurrentRunner(
        [AttemptSpec(1, 0), AttemptSpec(2, 1)],
        never,
        lanes=Lanes().group(2),
        sink=reports,
        worker="w",
        ended=lambda: ends.append(True),
    )
    watched = dict(FORKS._busy)
    runner.stop({1})
    assert not ends
    runner.stop({1, 2})
    runner.start()
    assert [(o.attempt, o.status) for o in reports.outcomes] == [
        (1, Status.CANCELLED),
        (2, Status.CANCELLED),
    ]
    assert (ends, reports.begun, dict(FORKS._busy)) == ([True], [], watched)
