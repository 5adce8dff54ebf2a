"""Makespan moves with the number of workers and with the share of slow attempts."""

import pytest

from asyncexec.simulation import Cluster, Noise
from asyncexec.simulation.comparison import Case, Variant
from asyncexec.simulation.plans import staged
from benchmarks.stragglers.sensitivity import against_slow_attempts, against_workers

OFF, TWO_PHASE = Variant("off"), Variant("two_phase")
CASE = Case(
    plan=staged(2, 100),
    cluster=Cluster(workers=50, price_per_hour=1.0),
    durations=10.0,
    noise=Noise(slow_share=0.03),
)


def test_more_workers_are_faster_and_more_slow_attempts_slower():
    workers = against_workers(CASE, [TWO_PHASE], [0])
    assert workers.values == (12, 25, 50, 100, 200)
    takes = [c.rows[0].spread("makespan_seconds").median for c in workers.comparisons]
    assert takes[0] > 2 * takes[2] > takes[3]
    slow = against_slow_attempts(CASE, [OFF], [0])
    takes = [c.rows[0].spread("makespan_seconds").median for c in slow.comparisons]
    assert takes[0] == pytest.approx(40.0)
    assert takes[-1] > 2 * takes[0]
