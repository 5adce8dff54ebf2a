"""Sorted arrays are those of NumPy, whether lines fit into a task or go through a network of merges."""

import pickle
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.array import merge_networks
from asyncexec.array.expansion import topological
from asyncexec.array.merge_exchange import exchanges
from tests.array.direct import run
from tests.array.strategies import DTYPES, chunks_of, values
from tests.profiles import examples


@contextmanager
def blocks_of(size):
    """Sort blocks of `size` bytes at most."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merge_networks, "MOST_BLOCK_BYTES", size)
        yield


def with_ties(shape, dtype, seed):
    """Few different values, NaN in each part among them."""
    rng = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    data = np.asarray(rng.integers(0, 4, shape)).astype(dtype)
    if dtype.kind == "c":
        data = np.asarray(data + 1j * rng.integers(0, 2, shape)).astype(dtype)
        data.imag[rng.random(shape) < 0.2] = np.nan
        data.real[rng.random(shape) < 0.2] = np.nan
    elif dtype.kind == "f":
        data[rng.random(shape) < 0.2] = np.nan
    else:
        data[rng.random(shape) < 0.2] = np.iinfo(dtype).max
    return data


@st.composite
def lines(draw, most_dims=3, most=40):
    """A lazy array, the NumPy array it is made of, and an axis, which may be long."""
    shape = draw(st.lists(st.integers(0, 4), max_size=most_dims - 1))
    axis = draw(st.integers(0, len(shape)))
    shape = (*shape[:axis], draw(st.integers(0, most)), *shape[axis:])
    make = draw(st.sampled_from([values, with_ties]))
    data = make(shape, draw(st.sampled_from([*DTYPES, np.float16])), draw(st.integers(0, 999)))
    return (
        xp.asarray(data, chunks=draw(chunks_of(shape))),
        data,
        axis - draw(st.sampled_from([0, len(shape)])),
    )


def descending_order(data, axis):
    """Greatest first, NaN before all, and equal elements in their order."""
    return (
        data.shape[axis]
        - 1
        - np.flip(np.argsort(np.flip(data, axis), axis=axis, kind="stable"), axis)
    )


@settings(max_examples=examples(40))
@given(lines(), st.booleans(), st.sampled_from([30, 100, 10**6]))
def test_values_are_sorted_as_numpy_sorts_them(case, descending, size):
    x, data, axis = case
    with blocks_of(size):
        found = xp.sort(x, axis=axis, descending=descending)
    expected = np.sort(data, axis=axis, kind="stable")
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_array_equal(run(found), np.flip(expected, axis) if descending else expected)


@settings(max_examples=examples(40))
@given(lines(), st.booleans(), st.sampled_from([60, 200, 10**6]))
def test_the_order_is_stable_as_numpys(case, descending, size):
    x, data, axis = case
    with blocks_of(size):
        found = xp.argsort(x, axis=axis, descending=descending)
    expected = np.argsort(data, axis=axis, kind="stable")
    assert (found.shape, found.dtype) == (expected.shape, np.int64)
    np.testing.assert_array_equal(
        run(found), descending_order(data, axis) if descending else expected
    )


@pytest.mark.parametrize("blocks", range(1, 34))
def test_the_network_sorts_any_number_of_blocks(blocks):
    """By the principle of zeros and ones, on random ones; every block has one partner, which has it."""
    found = np.random.default_rng(blocks).integers(0, 2, (200, blocks))
    for exchange in exchanges(blocks):
        partners = exchange.partners()
        assert [exchange.partner(block) for block in range(blocks)] == partners.tolist()
        np.testing.assert_array_equal(partners[partners], np.arange(blocks))
        low = exchange.lower()
        high = partners[low]
        below = np.minimum(found[:, low], found[:, high])
        above = np.maximum(found[:, low], found[:, high])
        found[:, low], found[:, high] = below, above
    assert (np.diff(found, axis=1) >= 0).all()


def test_a_long_line_goes_through_as_many_passes_as_the_network_has():
    with blocks_of(800):
        plan = xp.sort(xp.asarray(values((1600,), "float64", 1), chunks=100)).to_plan()
    assert [s.tasks for s in plan.stages] == [16] + 9 * [8] + [16]


def test_zeros_of_both_signs_stay_in_their_order(seed):
    data = np.random.default_rng(seed).choice([-0.0, 0.0, 1.0, -1.0, np.nan], (40, 3))
    for chunks in (40, 7):
        found = run(xp.sort(xp.asarray(data, chunks=chunks), axis=0))
        wanted = np.sort(data, axis=0, kind="stable")
        np.testing.assert_array_equal(found, wanted)
        zeros = wanted == 0
        np.testing.assert_array_equal(np.signbit(found[zeros]), np.signbit(wanted[zeros]))


def test_zeros_of_both_signs_are_kept():
    data = np.array([0.0, -0.0] * 50)
    with blocks_of(80):
        found = run(xp.sort(xp.asarray(data, chunks=10)))
    assert np.signbit(found).sum() == 50


def test_sorting_is_computed_in_one_stage_with_what_comes_before_and_after():
    x = xp.asarray(values((40, 30), "float64", 1), chunks=(8, 30))
    assert [s.operation for s in (xp.sort(x + 1) * 2).to_plan().stages] == ["add+sort+multiply"]


def test_lines_in_a_million_chunks_are_one_stage_of_few_nodes():
    found = xp.sort(xp.ones((10**6, 4), chunks=(1, 4)), descending=True)
    assert len(list(topological([found.node]))) <= 5
    assert len(found.to_plan().stages) == 1


def test_a_line_far_beyond_memory_is_planned_within_memory():
    spec = ax.Spec(allowed_mem="120MB", reserved_mem="100MB")
    plan = xp.argsort(xp.ones(10**7, chunks=10**5, spec=spec)).to_plan()
    assert all(stage.memory.fits for stage in plan.stages)
    assert len(plan.stages) > 10


def test_a_line_beyond_memory_is_sorted_within_it(tmp_path):
    spec = ax.Spec(allowed_mem="100.4MB", reserved_mem="100MB", work_dir=tmp_path / "work")
    data = values((20_000,), "float64", 3)
    xp.to_zarr(xp.asarray(data, chunks=2000), tmp_path / "x")
    x = xp.from_zarr(tmp_path / "x", spec=spec)
    np.testing.assert_array_equal(run(xp.sort(x), checked=False), np.sort(data))
    np.testing.assert_array_equal(run(xp.argsort(x), checked=False), np.argsort(data))


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_executors_sort_the_same(executor):
    data = with_ties((3, 40), "float64", 5)
    with blocks_of(200):
        found = xp.argsort(xp.asarray(data, chunks=(2, 9)), descending=True)
    np.testing.assert_array_equal(found.compute(executor=executor), descending_order(data, 1))


@pytest.mark.parametrize("function", [xp.sort, xp.argsort])
def test_an_axis_must_be_there(function):
    with pytest.raises(np.exceptions.AxisError, match="axis 1 is out of bounds"):
        function(xp.ones(3), axis=1)
    with pytest.raises(np.exceptions.AxisError):
        function(xp.asarray(1.0))
    with pytest.raises(TypeError, match=r"takes an array of asyncexec\.array"):
        function([3, 1])


def test_what_goes_through_a_network_can_be_pickled():
    data = with_ties((50,), "float64", 1)
    with blocks_of(160):
        found = xp.argsort(xp.asarray(data, chunks=9))
    again = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(run(again), np.argsort(data, kind="stable"))


def test_a_line_of_a_terabyte_is_planned_by_a_few_numbers_for_each_block():
    plan = xp.sort(xp.zeros(10**11, chunks=10**7)).to_plan()
    blocks = plan.stages[0].tasks
    passes = list(exchanges(blocks))
    assert [s.tasks for s in plan.stages] == [
        blocks,
        *[-(-blocks // 2)] * (len(passes) - 1),
        blocks,
    ]
