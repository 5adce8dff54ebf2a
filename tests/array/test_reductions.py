"""Passes of a reduction work out once what never changes."""

from collections import Counter

import pytest

import asyncexec.array as xp
from asyncexec.array import reductions
from asyncexec.array.reducers import Accumulate
from asyncexec.array.reductions import PartialReduction


@pytest.fixture
def asked(monkeypatch):
    """How often lowering works out something of a pass."""
    counted = Counter()

    def counting(name, function):
        def call(*arguments):
            counted[name] += 1
            return function(*arguments)

        return call

    dtypes = Accumulate.partial_dtypes.fget
    monkeypatch.setattr(Accumulate, "partial_dtypes", property(counting("dtypes", dtypes)))
    monkeypatch.setattr(reductions, "_ones", counting("chunks", reductions._ones))
    monkeypatch.setattr(
        PartialReduction, "__post_init__", counting("passes", PartialReduction.__post_init__)
    )
    return counted


def test_chunks_and_types_of_a_pass_are_worked_out_once(asked):
    # Its first pass takes a chunk a task, and the others merge eight partial results each.
    xp.sum(xp.ones((10_000,), chunks=(10,)), axis=0).to_plan()
    assert asked["passes"] >= 4
    beside = 2  # the reduction's own, before there are passes
    assert asked["chunks"] <= asked["passes"] + beside
    # Merging asks for them once more, for its memory.
    assert asked["dtypes"] <= 3 * asked["passes"]
