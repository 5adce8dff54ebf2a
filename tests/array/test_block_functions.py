"""Functions of one's own on whole chunks."""

import numpy as np
import pytest

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.errors import OptionError, TaskFailedError
from tests.array.direct import run


@pytest.fixture
def data(rng):
    return rng.random((6, 8))


@pytest.fixture
def x(data):
    return xp.asarray(data, chunks=(2, 3))


def test_a_function_of_a_chunk(x, data):
    y = xp.map_blocks(np.sort, x)
    assert y.dtype == data.dtype
    expected = np.concat([np.sort(data[:, i : i + 3]) for i in (0, 3, 6)], axis=1)
    np.testing.assert_array_equal(run(y), expected)


def test_keywords_and_several_arrays_that_broadcast(x, data):
    weights = np.arange(8.0)

    def weighted(block, weight, *, power):
        return block * weight**power

    y = xp.map_blocks(weighted, x, xp.asarray(weights, chunks=5), power=2)
    np.testing.assert_array_equal(run(y), data * weights**2)


def test_the_number_of_the_chunk(x):
    def number(block, block_id):
        return np.full(block.shape, 10 * block_id[0] + block_id[1])

    found = run(xp.map_blocks(number, x, dtype=np.int64))
    np.testing.assert_array_equal(found[::2, ::3], [[0, 1, 2], [10, 11, 12], [20, 21, 22]])


def test_chunks_that_change(x, data):
    def total(block):
        return block.sum(axis=0, keepdims=True)

    y = xp.map_blocks(total, x, chunks={0: 1})
    assert (y.shape, y.chunks) == ((3, 8), (1, 3))
    np.testing.assert_allclose(run(y), data.reshape(3, 2, 8).sum(axis=1))
    assert xp.map_blocks(total, x, chunks=(1, 3)).shape == (3, 8)


def test_dropped_axes_are_taken_whole(x, data):
    y = xp.map_blocks(lambda block: np.median(block, axis=0), x, drop_axis=0, dtype=float)
    assert (y.shape, y.chunks) == ((8,), (3,))
    np.testing.assert_array_equal(run(y), np.median(data, axis=0))


def test_new_axes(x, data):
    y = xp.map_blocks(
        lambda block: np.stack([block, -block]), x, new_axis=0, chunks={0: 2}, dtype=float
    )
    assert y.shape == (2, 6, 8)
    np.testing.assert_array_equal(run(y), np.stack([data, -data]))


def test_views_and_elementwise_operations_are_fused_into_the_stage(x, data):
    y = xp.map_blocks(np.sort, x + 1) * 2
    (stage,) = y.to_plan().stages
    assert stage.operation == "add+map_blocks(sort)+multiply"
    shifted = xp.map_blocks(np.sort, x)[1:]
    assert len(shifted.to_plan().stages) == 2
    np.testing.assert_array_equal(run(shifted), run(xp.map_blocks(np.sort, x))[1:])


def test_blocks_cannot_be_changed_in_place(x):
    def spoil(block):
        block += 1
        return block

    with pytest.raises(ValueError, match="read-only"):
        run(xp.map_blocks(spoil, x, dtype=float))


@pytest.mark.parametrize(
    "function, match",
    [
        (
            lambda block: block[:1],
            r"shape \(1, 3\) for chunk \(0, 0\), which has the shape \(2, 3\)",
        ),
        (
            lambda block: block.astype("f4"),
            r"float32 for chunk \(0, 0\), and dtype=float64 was promised",
        ),
    ],
)
async def test_another_shape_or_type_than_promised_names_the_chunk(function, match, x):
    y = xp.map_blocks(function, x, dtype=float)
    async with ax.Engine(executor="threads", executor_options={"max_workers": 1}) as engine:
        with pytest.raises(TaskFailedError, match=match) as caught:
            await engine.execute(y)
    assert caught.value.index == (0, 0)
    assert "map_blocks" in caught.value.stage


def test_a_type_that_cannot_be_found_out(x):
    def picky(block):
        return np.linalg.inv(block.reshape(2, 3)[:, :2])

    with pytest.raises(OptionError, match=r"picky fails on blocks of one element.*dtype="):
        xp.map_blocks(picky, x)


@pytest.mark.parametrize(
    "call, match",
    [
        (lambda x: xp.map_blocks(np.sort), "at least one array"),
        (lambda x: xp.map_blocks(np.sort, x, chunks=(1, 2, 3)), "3 entries for a result of 2 axes"),
        (lambda x: xp.map_blocks(np.sort, x, chunks={5: 1}), "axis 5"),
        (lambda x: xp.map_blocks(np.sort, x, chunks={0: (1, 2)}), "give each a length"),
        (lambda x: xp.blockwise(np.add, "ij", x), "in turn"),
        (lambda x: xp.blockwise(np.add, "ij", x, "i"), "one for each axis"),
        (lambda x: xp.blockwise(np.add, "ik", x, "ij"), "new_axes"),
        (
            lambda x: xp.blockwise(np.add, "ij", x, "ij", x.T, "ij"),
            "lengths 6 and 8|lengths 8 and 6",
        ),
        (
            lambda x: xp.blockwise(np.add, "ij", x, "ij", x.rechunk(2), "ij", align_arrays=False),
            "chunks of",
        ),
    ],
)
def test_what_does_not_fit_is_told(call, match, x):
    with pytest.raises(OptionError, match=match):
        call(x)


def test_blockwise_outer_product():
    one, other = np.arange(5.0), np.arange(4.0)
    y = xp.blockwise(
        np.multiply.outer, "ij", xp.asarray(one, chunks=2), "i", xp.asarray(other, chunks=3), "j"
    )
    np.testing.assert_array_equal(run(y), np.outer(one, other))


def test_blockwise_contraction_gets_the_axis_whole(rng):
    one, other = rng.random((5, 7)), rng.random((7, 4))
    y = xp.blockwise(
        np.matmul,
        "ik",
        xp.asarray(one, chunks=(2, 3)),
        "ij",
        xp.asarray(other, chunks=(2, 3)),
        "jk",
        dtype=float,
    )
    np.testing.assert_allclose(run(y), one @ other)


def test_blockwise_transposes_broadcasts_and_aligns(data, x):
    row = np.arange(6.0)[None, :]
    y = xp.blockwise(
        lambda a, b, c: a.T + b.T + c,
        "ji",
        x,
        "ij",
        x.rechunk(4),
        "ij",
        xp.asarray(row),
        "ji",
        dtype=float,
    )
    np.testing.assert_allclose(run(y), 2 * data.T + row)


def test_blockwise_with_constants_new_and_adjusted_axes(data, x):
    def repeated(block, times, tail):
        return np.repeat(block, times, axis=0)[..., None] + np.zeros(tail)

    y = xp.blockwise(
        repeated,
        "ijk",
        x,
        "ij",
        2,
        None,
        (3,),
        None,
        new_axes={"k": 3},
        adjust_chunks={"i": 4},
        dtype=float,
    )
    assert y.shape == (12, 8, 3)
    np.testing.assert_array_equal(run(y)[..., 0], np.repeat(data, 2, axis=0))


def test_memory_of_ones_own_is_counted(x):
    plain, more = (
        xp.map_blocks(np.sort, x, extra_memory=extra).to_plan().projected_bytes
        for extra in (0, "5MB")
    )
    assert more - plain == 5_000_000


def test_block_info_has_the_place_of_each_array_and_of_the_result(x):
    seen = {}

    def noted(block, scale, row, block_info):
        seen[block_info[None]["chunk-location"]] = block_info
        return block * scale + row

    row = xp.asarray(np.zeros(8), chunks=4)
    y = xp.map_blocks(noted, x, 2.0, row, dtype=float)
    run(y)
    info = seen[1, 2]
    assert list(info) == [0, 2, None]
    assert info[0] == {
        "shape": (6, 8),
        "num-chunks": (3, 3),
        "array-location": [(2, 4), (6, 8)],
        "chunk-location": (1, 2),
        "chunk-shape": (2, 2),
        "dtype": np.dtype(float),
    }
    assert info[2]["array-location"] == [(6, 8)]
    assert info[None]["array-location"] == [(2, 4), (6, 8)]


def test_block_info_of_an_axis_that_comes_whole_and_of_blocks_that_differ(x):
    seen = []

    def first(block, block_info):
        seen.append(block_info)
        return block[0, : block_info[None]["chunk-shape"][0]]

    y = xp.map_blocks(first, x, drop_axis=0, chunks=((1, 3, 2),), dtype=float)
    assert y.shape == (6,)
    run(y)
    assert [info[0]["array-location"][0] for info in seen[-3:]] == [(0, 6)] * 3
    assert [info[None]["array-location"] for info in seen[-3:]] == [[(0, 1)], [(1, 4)], [(4, 6)]]


@pytest.mark.parametrize("lengths", [(1, 3, 2), (0, 0, 4), (2, 0, 2), (0, 0, 0), (3, 1, 0)])
def test_blocks_that_differ_in_length_are_put_together_without_padding(lengths):
    def counted(block, block_id):
        return np.full(lengths[block_id[0]], block_id[0], np.int64)

    y = xp.map_blocks(counted, xp.zeros(6, chunks=2), chunks=(lengths,), dtype=np.int64)
    expected = np.repeat(np.arange(3), lengths)
    assert y.shape == expected.shape
    np.testing.assert_array_equal(run(y), expected)
    np.testing.assert_array_equal(run(y[::-1] + 1), expected[::-1] + 1)


def test_blockwise_adjusts_lengths_by_a_function_or_one_by_one(x, data):
    y = xp.blockwise(
        np.repeat, "ij", x, "ij", 2, None, 1, None, adjust_chunks={"j": lambda n: 2 * n}
    )
    np.testing.assert_array_equal(run(y), np.repeat(data, 2, axis=1))
    y = xp.blockwise(
        lambda b: b[:, b[0] > 0.5], "ij", x, "ij", dtype=float, adjust_chunks={"j": (0, 0, 0)}
    )
    with pytest.raises(
        ValueError, match=r"of shape \(2, 1\) for chunk \(0, 1\), which has the shape \(2, 2\)"
    ):
        run(xp.map_blocks(lambda b: b[:, :1], x, chunks={1: (1, 2, 1)}, dtype=float))
    assert y.shape == (6, 0)


def test_no_array_among_the_arguments_is_passed_on_as_it_is(x, data):
    y = xp.map_blocks(lambda a, block, b: block * a["k"] + len(b), {"k": 2}, x, "abc", dtype=float)
    np.testing.assert_allclose(run(y), data * 2 + 3)
    np.testing.assert_allclose(y.compute(executor="threads"), data * 2 + 3)
