"""The share of attempts that run longer is right also where some were stopped."""

import numpy as np
import pytest

from asyncexec.straggler.survival import surviving


def test_where_all_have_ended_it_is_the_share_of_those_that_ended_later():
    durations = np.array([3.0, 1.0, 2.0, 2.0])
    times, shares = surviving(durations, durations)
    assert times.tolist() == [1.0, 2.0, 3.0]
    assert shares.tolist() == pytest.approx([0.75, 0.25, 0.0])


def test_those_that_are_stopped_at_random_change_nothing_but_the_precision():
    random = np.random.default_rng(3)
    durations, stops = random.exponential(1.0, 20_000), random.exponential(1.0, 20_000)
    times, shares = surviving(durations[durations <= stops], np.minimum(durations, stops))
    at = times.searchsorted([0.5, 1.0, 2.0])
    assert shares[at] == pytest.approx(np.exp([-0.5, -1.0, -2.0]), abs=0.02)
