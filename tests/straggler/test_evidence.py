"""Evidence keeps its promise however often it is looked at, and grows with what speaks for it."""

import math

import numpy as np
import pytest

from asyncexec.straggler.evidence import Evidence


def test_if_the_hypothesis_is_true_evidence_seldom_exceeds_any_bound_at_any_time():
    seed, bound, runs = 11, 20.0, 400
    print("seed", seed)
    random = np.random.default_rng(seed)
    exceeded = 0
    for _ in range(runs):
        evidence = Evidence()
        exceeded += any(_amount(evidence, p) >= bound for p in 1.0 - random.random(100))
    assert exceeded / runs <= 1.0 / bound


def test_what_is_expected_of_an_attempt_that_runs_is_what_its_end_brings_on_average():
    evidence = Evidence()
    for p in (0.4, 0.05, 0.2):
        evidence.add(p)
    share = 0.04
    ends = []
    for p in (np.arange(4000) + 0.5) / 4000 * share:
        other = Evidence()
        for before in (0.4, 0.05, 0.2, float(p)):
            other.add(before)
        ends.append(other.amount)
    assert evidence.with_running([share]) == pytest.approx(float(np.mean(ends)), rel=0.05)


def test_an_attempt_that_has_just_begun_changes_next_to_nothing():
    evidence = Evidence()
    for p in (0.01, 0.02):
        evidence.add(p)
    assert evidence.with_running([1.0]) == pytest.approx(evidence.amount, rel=0.05)


def test_what_was_lost_in_good_times_does_not_count_in_bad_ones():
    evidence = Evidence()
    for _ in range(500):
        evidence.add(0.7)
    before = evidence.amount
    for _ in range(6):
        evidence.add(0.005)
    assert before < 1.0
    assert evidence.amount > 1000.0


def test_evidence_stays_finite():
    evidence = Evidence()
    for _ in range(1000):
        evidence.add(1e-6)
    assert math.isfinite(evidence.amount)


def _amount(evidence, p):
    evidence.add(p)
    return evidence.amount
