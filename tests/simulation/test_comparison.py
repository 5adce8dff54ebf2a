"""Variants are compared pair by pair, seed by seed."""

import json

import pytest

from asyncexec.simulation import Cluster, Noise
from asyncexec.simulation.comparison import Case, Variant, compare
from asyncexec.simulation.plans import staged

OFF, TWO_PHASE = Variant("off"), Variant("two_phase")
CASE = Case(
    plan=staged(2, 100),
    cluster=Cluster(workers=50, price_per_hour=1.0),
    durations=10.0,
    noise=Noise(slow_share=0.03),
)


def without_machine(told):
    for variant in told["variants"]:
        for run in variant["runs"]:
            assert run.pop("machine").keys() == {"seconds", "events_per_second"}
    return told


def test_the_same_seeds_give_the_same_json():
    told = [without_machine(compare(CASE, [OFF, TWO_PHASE], [4, 5]).as_json()) for _ in range(2)]
    assert json.dumps(told[0]) == json.dumps(told[1])
    assert [run["seed"] for run in told[0]["variants"][1]["runs"]] == [4, 5]
    other = without_machine(compare(CASE, [OFF, TWO_PHASE], [6, 7]).as_json())
    assert other != told[0]


def test_a_variant_is_as_many_times_as_fast_as_the_median_of_its_pairs():
    compared = compare(CASE, [OFF, TWO_PHASE], range(5))
    off, backed = compared.rows
    ratios = sorted(
        a.makespan_seconds / b.makespan_seconds for a, b in zip(off.runs, backed.runs, strict=True)
    )
    faster = compared.faster(backed)
    assert (faster.least, faster.median, faster.most) == pytest.approx(
        (ratios[0], ratios[2], ratios[4])
    )
    assert compared.faster(off).median == 1.0
    assert faster.median > 1.1


def test_who_waits_is_told_of_every_run_and_how_far_it_is():
    begun, shares = [], []

    def on_run(variant, seed, share):
        begun.append((variant, seed, share()))
        shares.append(share)

    compare(CASE, [OFF, TWO_PHASE], [1, 2], on_run=on_run)
    assert begun == [(OFF, 1, 0.0), (OFF, 2, 0.0), (TWO_PHASE, 1, 0.0), (TWO_PHASE, 2, 0.0)]
    assert [share() for share in shares] == [1.0] * 4


def test_barriers_are_a_variant_of_their_own():
    quiet = Case(plan=staged(2, 75), cluster=Cluster(workers=50), durations=10.0)
    compared = compare(quiet, [Variant("off", barriers=True), OFF], [0])
    barriers, pipelined = (row.spread("makespan_seconds").median for row in compared.rows)
    assert (barriers, pipelined) == (pytest.approx(40.0), pytest.approx(30.0))
