"""Runs and others at one place, in any order: what is there is what the model says, wherever the place is."""

import hypothesis
import pytest
from hypothesis.stateful import run_state_machine_as_test

from tests.object_stores.one_place.machine import OnePlace
from tests.object_stores.one_place.worlds import Bucket, Disk, Memory

pytest.importorskip("obstore")
pytest_plugins = ["tests.object_stores.fixtures"]


# Failing histories are made short only where there is time for it: with HYPOTHESIS_PROFILE=thorough.
THOROUGH = hypothesis.settings.default.max_examples > 150
PHASES = [p for p in hypothesis.Phase if THOROUGH or p.name not in ("shrink", "explain")]


def try_out(world, *, examples, steps):
    machine = type("OnePlaceThere", (OnePlace,), {"make_world": staticmethod(world)})
    settings = hypothesis.settings(
        hypothesis.settings.default,
        # More with HYPOTHESIS_PROFILE=thorough.
        max_examples=examples * max(1, hypothesis.settings.default.max_examples // 150),
        stateful_step_count=steps,
        phases=PHASES,
        # The same histories each time, and others with HYPOTHESIS_PROFILE=thorough.
        derandomize=not THOROUGH,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    run_state_machine_as_test(machine, settings=settings)


@pytest.mark.parametrize("world", [Disk, Memory])
def test_what_is_there_is_what_the_model_says(world):
    try_out(world, examples=4, steps=8)


@pytest.mark.slow
@pytest.mark.parametrize("world", [Disk, Memory])
def test_what_is_there_is_what_the_model_says_after_long_histories(world):
    try_out(world, examples=30, steps=20)


@pytest.mark.faults  # The server may take minutes for a request in the midst of a history.
def test_what_is_there_is_what_the_model_says_in_a_bucket(moto_url):
    try_out(lambda: Bucket(moto_url), examples=10, steps=20)
