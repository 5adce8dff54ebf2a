"""From any chunks to any chunks, in bounded memory."""

import math
import re

import numpy as np
import pytest
from hypothesis import assume, given, strategies as st

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.array import lowering
from asyncexec.array.chunks import grid, normalize_chunks
from asyncexec.array.rechunking import amplification, plan_rechunk
from tests.array.direct import run


@st.composite
def cases(draw, longest=60):
    shape = tuple(draw(st.lists(st.integers(1, longest), min_size=1, max_size=3)))
    source = tuple(draw(st.integers(1, n)) for n in shape)
    target = tuple(draw(st.integers(1, n)) for n in shape)
    return shape, source, target


def size(lengths, shape):
    return math.prod(map(min, lengths, shape))


@given(cases(), st.integers(1, 20_000))
def test_blocks_stay_within_memory_and_write_whole_chunks(case, most):
    shape, source, target = case
    passes = plan_rechunk(shape, 1, source, target, most_bytes=most)
    assert passes[-1].chunks == target
    bound = max(most, size(source, shape), size(target, shape))
    for step in passes:
        assert size(step.block, shape) <= bound
        for n, block, chunk in zip(shape, step.block, step.chunks, strict=True):
            assert block >= n or block % chunk == 0


@given(cases(longest=200))
def test_amplification_counts_how_often_chunks_are_read(case):
    shape, source, target = case
    reads = 1.0
    for n, chunk, length in zip(shape, source, target, strict=True):
        pairs = {(e // chunk, e // length) for e in range(n)}
        reads *= len(pairs) / -(-n // chunk)
    assert amplification(shape, source, target) == pytest.approx(reads)


@given(cases(longest=14), st.integers(1, 100))
def test_rechunking_moves_every_element_to_its_place(case, most):
    shape, source, target = case
    data = np.arange(math.prod(shape)).reshape(shape)
    x = xp.asarray(data, chunks=source)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lowering, "MOST_RECHUNK_BYTES", most)
        plan = x.rechunk(target).to_plan()
    assert plan.stages[-1].outputs[0].unit == target
    np.testing.assert_array_equal(run(plan), data)


@given(
    st.lists(st.integers(100, 20_000), min_size=1, max_size=3).map(tuple),
    st.integers(1, 64),
    st.data(),
)
def test_whatever_the_chunks_each_pass_is_projected_to_fit(shape, megabytes, data):
    spec = ax.Spec(allowed_mem=100_000_000 + megabytes * 10**6, reserved_mem="100MB")
    # A chunk is read with its encoded copy and written with its own, so that eight of them must fit.
    most = spec.free_bytes // 64
    lengths = st.sampled_from(["auto", "auto", 1, 7, 100, -1])
    source, target = (
        normalize_chunks(tuple(data.draw(lengths) for _ in shape), shape, 8, limit=8 * most)
        for _ in range(2)
    )
    assume(math.prod(source) <= most and math.prod(target) <= most)
    x = xp.map_blocks(np.negative, xp.ones(shape, chunks=source, spec=spec))
    for stage in x.rechunk(target).to_plan().stages:
        assert stage.memory.fits


@pytest.mark.parametrize("allowed", ["150MB", "300MB", "2GB"])
def test_each_pass_is_projected_to_fit(allowed, tmp_path):
    spec = ax.Spec(allowed_mem=allowed, reserved_mem="100MB", work_dir=tmp_path)
    x = xp.map_blocks(np.negative, xp.ones((40_000, 40_000), chunks=(40, 40_000), spec=spec))
    plan = x.rechunk((40_000, 40)).to_plan()
    assert all(s.memory.fits for s in plan.stages)
    passes = [s for s in plan.stages if "rechunk" in s.operation or "rechunk" in s.name]
    assert len(passes) >= 2
    chunks = sum(math.prod(grid(s.outputs[0].shape, s.outputs[0].unit)) for s in passes)
    # Copying 12.8 GB block by block would take millions of pieces.
    assert chunks < 200_000


def test_what_is_read_once_anyway_is_not_stored_first():
    x = xp.map_blocks(np.negative, xp.ones((100, 100), chunks=(10, 100)))
    plan = xp.sum(x.rechunk((30, 100)), axis=1).to_plan()
    assert not any("rechunk" in stage.name for stage in plan.stages)


def test_rechunking_to_the_same_chunks_is_nothing():
    x = xp.ones((10, 10), chunks=5)
    assert x.rechunk(5).node is x.node
    assert x.rechunk({0: 2}).chunks == (2, 5)


def test_small_arrays_are_rechunked_by_one_task():
    x = xp.map_blocks(np.negative, xp.ones((240, 37, 49), chunks=(1, 37, 49)))
    plan = x.rechunk((240, 37, 7)).to_plan()
    last = plan.stages[-1]
    assert re.match("rechunk", last.name)
    assert last.tasks == 1
    assert last.outputs[0].unit == (240, 37, 7)
