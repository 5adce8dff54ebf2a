"""Chunks that overlap, and windows that slide, against NumPy's."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import asyncexec.array as xp
from asyncexec.errors import OptionError
from tests.array.direct import run
from tests.array.strategies import leaves, shapes
from tests.profiles import examples

pytestmark = pytest.mark.usefixtures("functions_by_value")

MODES = {"reflect": "symmetric", "nearest": "edge", "periodic": "wrap"}


def neighbours(block, widths):
    """The sum of weights of the elements around each, without the borders that it takes for that."""
    out = block
    for axis, (before, after) in enumerate(widths):
        windows = np.lib.stride_tricks.sliding_window_view(out, before + after + 1, axis)
        out = (windows * np.arange(1.0, before + after + 2)).sum(axis=-1)
    return out


def restored(block, widths):
    """The same, in the shape of the block."""
    inner = neighbours(block, widths)
    return np.pad(inner, widths, constant_values=-1)


def padded(a, widths, rules):
    for axis, (width, rule) in enumerate(zip(widths, rules, strict=True)):
        pads = [width if p == axis else (0, 0) for p in range(a.ndim)]
        a = np.pad(a, pads, MODES[rule]) if rule in MODES else np.pad(a, pads, constant_values=rule)
    return a


@settings(max_examples=examples(60))
@given(st.data())
def test_each_element_has_its_neighbours_and_what_is_around_the_array(data):
    shape = data.draw(shapes(most_dims=2, side=st.integers(1, 9)).filter(len))
    x, a = data.draw(leaves(shape=shape, dtypes=["f8"]))
    widths = [
        (data.draw(st.integers(0, min(n, 4))), data.draw(st.integers(0, min(n, 4)))) for n in shape
    ]
    rules = [data.draw(st.sampled_from(["reflect", "nearest", "periodic", 7.5])) for _ in shape]
    y = xp.map_overlap(
        restored, x, depth=tuple(widths), boundary=tuple(rules), widths=widths, dtype=float
    )
    assert y.shape == x.shape
    np.testing.assert_allclose(run(y), neighbours(padded(a, widths, rules), widths))


@settings(max_examples=examples(30))
@given(st.data())
def test_chunks_at_the_edges_have_no_border_there_by_default(data):
    n = data.draw(st.integers(1, 12))
    x, a = data.draw(leaves(shape=(n,), dtypes=["f8"]))
    before, after = data.draw(st.integers(0, 5)), data.draw(st.integers(0, 5))
    depth = {0: (before, after)}
    kept = xp.map_overlap(lambda b: b, x, depth=depth, trim=False, dtype=float)
    ends = np.cumsum([0, *x.chunksizes[0]])
    parts = [a[max(0, i - before) : j + after] for i, j in pairwise(ends)]
    np.testing.assert_array_equal(run(kept), np.concatenate(parts))
    np.testing.assert_array_equal(run(xp.map_overlap(lambda b: b, x, depth=depth, dtype=float)), a)


@pytest.mark.parametrize("rule", ["reflect", "nearest", "periodic", 0.0])
def test_untrimmed_chunks_have_their_borders(rule):
    a = np.arange(10.0)
    y = xp.map_overlap(lambda b: b, xp.asarray(a, chunks=4), depth=2, boundary=rule, trim=False)
    whole = padded(a, [(2, 2)], [rule])
    np.testing.assert_array_equal(
        run(y), np.concatenate([whole[i : min(i + 4, 10) + 4] for i in (0, 4, 8)])
    )


def test_several_arrays_have_depths_and_boundaries_of_their_own():
    a, b = np.arange(24.0).reshape(4, 6), np.arange(6.0)

    def both(one, other):
        return one + other[2:][: one.shape[1]] if len(other) != one.shape[1] else one + other

    y = xp.map_overlap(
        both,
        xp.asarray(a, chunks=(2, 3)),
        xp.asarray(b, chunks=2),
        depth=[0, {0: (2, 0)}],
        boundary=["none", 0],
        dtype=float,
    )
    np.testing.assert_array_equal(run(y), a + b)


def test_arrays_of_one_element_along_an_axis_have_no_border_there():
    a = np.arange(12.0).reshape(4, 3)
    row = np.arange(3.0)[None, :]
    y = xp.map_overlap(
        lambda one, other: one + other,
        xp.asarray(a, chunks=(2, 3)),
        xp.asarray(row),
        depth={0: 1},
        boundary="reflect",
        dtype=float,
    )
    np.testing.assert_array_equal(run(y), a + row)


def test_dropped_and_new_axes_numbers_of_blocks_and_constants():
    a = np.arange(24.0).reshape(4, 6)

    def total(block, factor, block_id, block_info):
        assert block_info[None]["chunk-location"] == block_id
        return block.sum(axis=0)[None] * factor + 0 * block_id[1]

    y = xp.map_overlap(
        total,
        xp.asarray(a, chunks=(2, 3)),
        2.0,
        depth={1: 1},
        boundary="periodic",
        drop_axis=0,
        new_axis=0,
        dtype=float,
    )
    np.testing.assert_array_equal(run(y), a.sum(axis=0)[None] * 2)


def test_the_element_type_is_found_out_with_blocks_that_have_borders():
    y = xp.map_overlap(
        lambda b: (np.lib.stride_tricks.sliding_window_view(b, 3) > 0).any(axis=-1),
        xp.asarray(np.arange(-4.0, 4.0), chunks=3),
        depth=1,
        boundary="nearest",
        trim=False,
        chunks=(3,),
    )
    assert (y.dtype, y.shape) == (np.bool_, (8,))
    np.testing.assert_array_equal(run(y), np.arange(8) > 3)


def test_inner_borders_are_read_from_neighbours_in_one_stage():
    x = xp.map_overlap(lambda b: b, xp.ones(10**6, chunks=1) * 2, depth=1, boundary="reflect")
    (stage,) = x.to_plan().stages
    assert stage.tasks == 10**6
    y = xp.map_overlap(lambda b: b, xp.map_blocks(np.negative, xp.ones((9, 9), chunks=3)), depth=1)
    assert len(y.to_plan().stages) == 2


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x[::2],
        lambda x: xp.take(x, [5, 1, 3, 3, 0, 7, 2], axis=0),
        lambda x: xp.concat([x[::-1], x + 1]),
        lambda x: xp.take(x, [5, 1, 3, 3], axis=0) * 2 + 1,
    ],
)
def test_borders_of_what_is_no_slice(view):
    a = np.arange(9.0)
    x = view(xp.asarray(a, chunks=4))
    expected = run(x)
    y = xp.map_overlap(restored, x, depth=1, boundary=0, widths=[(1, 1)], dtype=float)
    np.testing.assert_allclose(run(y), neighbours(np.pad(expected, 1), [(1, 1)]))
    windows = xp.sliding_window_view(x, 3)
    np.testing.assert_array_equal(
        run(windows), np.lib.stride_tricks.sliding_window_view(expected, 3)
    )


@pytest.mark.parametrize(
    "options, error, match",
    [
        ({"depth": 9, "boundary": "reflect"}, ValueError, "depth 9 along axis 0.*8 elements"),
        ({"depth": 1, "boundary": "mirror"}, OptionError, "'mirror' is none of none, reflect"),
        ({"depth": (1, 1)}, OptionError, "2 entries for an array of 1 axes"),
        ({"depth": -1}, OptionError, "number from 0"),
        ({"depth": [1, 1]}, OptionError, "list of 2 for 1 arrays"),
        ({"depth": {3: 1}}, np.exceptions.AxisError, "axis 3"),
    ],
)
def test_what_does_not_fit_is_refused_when_it_is_built(options, error, match):
    with pytest.raises(error, match=match):
        xp.map_overlap(lambda b: b, xp.ones(8, chunks=4), dtype=float, **options)


def test_a_value_that_the_type_has_not_is_refused():
    with pytest.raises((ValueError, OverflowError)):
        xp.map_overlap(lambda b: b, xp.arange(4), depth=1, boundary=np.nan)


@settings(max_examples=examples(50))
@given(st.data())
def test_windows_are_those_of_numpy(data):
    shape = data.draw(shapes(most_dims=2, side=st.integers(1, 7)).filter(len))
    x, a = data.draw(leaves(shape=shape))
    axes = tuple(data.draw(st.lists(st.integers(0, len(shape) - 1), max_size=2, unique=True)))
    lengths = tuple(data.draw(st.integers(1, shape[axis])) for axis in axes)
    windows = xp.sliding_window_view(x, lengths, axes)
    expected = np.lib.stride_tricks.sliding_window_view(a, lengths, axes)
    assert windows.shape == expected.shape
    np.testing.assert_array_equal(run(windows), expected)
    key = tuple(data.draw(st.slices(n)) for n in expected.shape)
    np.testing.assert_array_equal(run(windows[key]), expected[key])
    rest = tuple(range(len(shape), expected.ndim))
    total = xp.sum(windows + 0, axis=rest) if a.dtype.kind != "b" else xp.any(windows, axis=rest)
    reference = expected.sum(axis=rest) if a.dtype.kind != "b" else expected.any(axis=rest)
    np.testing.assert_allclose(run(total), reference, rtol=1e-5, atol=1e-5)


def test_reducing_windows_reads_and_holds_the_chunk_alone():
    x = xp.ones((2000, 2000), chunks=(500, 500)) * 1
    y = xp.max(xp.sliding_window_view(x, 200, axis=0), axis=-1)
    (stage,) = y.to_plan().stages
    held = stage.memory.projected_bytes - stage.memory.reserved_bytes
    assert held < 40 * 700 * 500
    np.testing.assert_array_equal(run(y[:3, :3], checked=False), np.ones((3, 3)))


@pytest.mark.parametrize(
    "call, match",
    [
        (lambda x: xp.sliding_window_view(x, 9), "longer than axis 0"),
        (lambda x: xp.sliding_window_view(x, (1, 1)), "one length for each"),
        (lambda x: xp.sliding_window_view(x, 0), "lengths from 1"),
    ],
)
def test_windows_that_cannot_be(call, match):
    with pytest.raises(ValueError, match=match):
        call(xp.ones(8, chunks=3))


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_overlaps_run_on_executors(executor):
    x = xp.asarray(np.arange(12.0), chunks=5)
    y = xp.map_overlap(restored, x, depth=2, boundary="periodic", widths=[(2, 2)], dtype=float)
    total = xp.sum(xp.sliding_window_view(y, 3), axis=-1)
    inner = neighbours(np.pad(np.arange(12.0), 2, "wrap"), [(2, 2)])
    expected = np.lib.stride_tricks.sliding_window_view(inner, 3).sum(axis=-1)
    np.testing.assert_allclose(total.compute(executor=executor), expected)
