"""Integers of NumPy are integers wherever an array function takes one; booleans and fractions are none."""

import numpy as np
import pytest

import asyncexec.array as xp
from asyncexec.array.reshaping import reshaped
from asyncexec.errors import OptionError
from tests.array.direct import run

INTEGERS = [np.int8, np.uint8, np.int64, np.uint64, np.array]


def key(number):
    """Return ``number`` as a key of a mapping, which an array cannot be."""
    return number[()] if isinstance(number, np.ndarray) else number


VALUES = np.arange(12.0).reshape(3, 4)

TAKES = {
    "asarray chunks": lambda i: xp.asarray(VALUES, chunks=i(2)),
    "asarray chunks of each axis": lambda i: xp.asarray(VALUES, chunks=(i(2), i(3))),
    "asarray chunk lengths": lambda i: xp.asarray(VALUES, chunks=((i(2), i(1)), i(4))),
    "rechunk": lambda i: xp.asarray(VALUES, chunks=2).rechunk({key(i(1)): i(3)}),
    "rechunk by an array": lambda i: xp.rechunk(xp.asarray(VALUES), np.array([i(2), i(2)])),
    "sum axis": lambda i: xp.sum(xp.asarray(VALUES, chunks=2), axis=i(1)),
    "sum axes": lambda i: xp.sum(xp.asarray(VALUES, chunks=2), axis=(i(1), i(0))),
    "split_every": lambda i: xp.sum(xp.asarray(VALUES, chunks=1), split_every=i(3)),
    "argmax": lambda i: xp.argmax(xp.asarray(VALUES), axis=i(1)),
    "full": lambda i: xp.full((i(2), i(3)), 1, chunks=(i(1), i(3))),
    "zeros": lambda i: xp.zeros(i(3)),
    "eye": lambda i: xp.eye(i(3), i(4), k=i(1)),
    "arange": lambda i: xp.arange(i(2), i(9), i(3)),
    "arange down": lambda i: xp.arange(i(9), i(2), -2),
    "arange of none": lambda i: xp.arange(i(9), i(2)),
    "linspace": lambda i: xp.linspace(0, 1, i(5)),
    "tril": lambda i: xp.tril(xp.asarray(VALUES), k=i(1)),
    "triu": lambda i: xp.triu(xp.asarray(VALUES), k=i(0)),
    "broadcast_to": lambda i: xp.broadcast_to(xp.asarray(VALUES[0]), (i(2), i(4))),
    "broadcast_to one": lambda i: xp.broadcast_to(xp.asarray(7), i(3)),
    "concat": lambda i: xp.concat([xp.asarray(VALUES)] * 2, axis=i(1)),
    "stack": lambda i: xp.stack([xp.asarray(VALUES)] * 2, axis=i(1)),
    "unstack": lambda i: xp.unstack(xp.asarray(VALUES), axis=i(1))[1],
    "expand_dims": lambda i: xp.expand_dims(xp.asarray(VALUES), axis=i(1)),
    "expand_dims by position": lambda i: xp.expand_dims(xp.asarray(VALUES), i(1)),
    "expand_dims several": lambda i: xp.expand_dims(xp.asarray(VALUES), (i(0), i(2))),
    "squeeze": lambda i: xp.squeeze(xp.asarray(VALUES[None]), i(0)),
    "flip": lambda i: xp.flip(xp.asarray(VALUES), axis=i(1)),
    "moveaxis": lambda i: xp.moveaxis(xp.asarray(VALUES), i(0), i(1)),
    "permute_dims": lambda i: xp.permute_dims(xp.asarray(VALUES), (i(1), i(0))),
    "reshape": lambda i: xp.reshape(xp.asarray(VALUES), (i(2), i(6))),
    "roll": lambda i: xp.roll(xp.asarray(VALUES), i(1), axis=i(1)),
    "roll several": lambda i: xp.roll(xp.asarray(VALUES), (i(1), i(2)), axis=(i(1), i(0))),
    "roll of all": lambda i: xp.roll(xp.asarray(VALUES, chunks=2), i(3)),
    "take": lambda i: xp.take(xp.asarray(VALUES), [i(2), i(0)], axis=i(1)),
    "transpose": lambda i: xp.asarray(VALUES[0]).transpose(i(0)),
    "transpose by several": lambda i: xp.asarray(VALUES).transpose(i(1), i(0)),
    "swapaxes": lambda i: xp.asarray(VALUES).swapaxes(i(0), i(1)),
    "vector_norm": lambda i: xp.linalg.vector_norm(xp.asarray(VALUES, chunks=2), axis=i(1), ord=i(1)),
    "matrix_norm": lambda i: xp.linalg.matrix_norm(xp.asarray(VALUES), ord=i(1)),
    "matrix_power": lambda i: xp.linalg.matrix_power(xp.asarray(VALUES[:, :3]), i(2)),
    "tensordot": lambda i: xp.tensordot(xp.asarray(VALUES), xp.asarray(VALUES.T), axes=i(1)),
    "fft": lambda i: xp.fft.fft(xp.asarray(VALUES), n=i(3), axis=i(0)),
    "repeat": lambda i: xp.repeat(xp.asarray(VALUES, chunks=2), i(2), axis=i(1)),
    "tile": lambda i: xp.tile(xp.asarray(VALUES, chunks=2), (i(2), i(1))),
    "pad": lambda i: xp.pad(xp.asarray(VALUES, chunks=2), ((i(1), i(0)), (i(2), i(1)))),
    "diff": lambda i: xp.diff(xp.asarray(VALUES, chunks=2), n=i(2), axis=i(1)),
    "diag": lambda i: xp.diag(xp.asarray(VALUES[0]), k=i(1)),
    "rot90": lambda i: xp.rot90(xp.asarray(VALUES), k=i(1)),
    "insert": lambda i: xp.insert(xp.asarray(VALUES[0]), i(1), 7.0).rechunk(5),
    "delete": lambda i: xp.delete(xp.asarray(VALUES[0]), i(1)).rechunk(3),
    "topk": lambda i: xp.topk(xp.asarray(VALUES[0], chunks=2), i(2)),
    "bincount": lambda i: xp.bincount(xp.asarray([1, 2, 2], chunks=2), minlength=i(6)),
    "histogram": lambda i: xp.histogram(xp.asarray(VALUES, chunks=2), bins=i(3))[0],
    "cumulative_sum": lambda i: xp.cumulative_sum(xp.asarray(VALUES, chunks=2), axis=i(1)),
    "quantile": lambda i: xp.quantile(xp.asarray(VALUES, chunks=2), 0.5, axis=i(1)),
    "sliding windows": lambda i: xp.sliding_window_view(xp.asarray(VALUES[0], chunks=2), i(2)),
    "map_overlap": lambda i: xp.map_overlap(
        lambda b: b * 2, xp.asarray(VALUES, chunks=2), depth=i(1), dtype=float
    ),
    "apply_gufunc": lambda i: xp.apply_gufunc(
        lambda b: b.sum(-1), "(k)->()", xp.asarray(VALUES), axis=i(0), output_dtypes=float
    ),
    "groupby_reduce": lambda i: xp.groupby_reduce(
        xp.asarray(VALUES, chunks=2), [0, 1, 0], func="sum", axis=i(0)
    )[0],
    "index": lambda i: xp.asarray(VALUES)[i(1), i(1) : i(3) : i(2)],
    "map_blocks": lambda i: xp.map_blocks(
        lambda b: b[:, :1], xp.asarray(VALUES, chunks=2), chunks=(i(2), i(1)), dtype=float
    ),
    "map_blocks axes": lambda i: xp.map_blocks(
        lambda b: b.sum(axis=0)[None], xp.asarray(VALUES), drop_axis=i(0), new_axis=i(0)
    ),
    "blockwise": lambda i: xp.blockwise(
        lambda b: b[:, None] + np.zeros((1, 2)), "ik", xp.asarray(VALUES[0]), "i", new_axes={"k": i(2)}
    ),
    "blockwise chunks": lambda i: xp.blockwise(
        lambda b: b.repeat(2), "i", xp.asarray(VALUES[0], chunks=2), "i", adjust_chunks={"i": i(4)}
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", TAKES)
def test_integers_of_numpy_are_integers(what):
    expected = TAKES[what](int)
    value = run(expected)
    for kind in INTEGERS:
        found = TAKES[what](kind)
        assert (found.shape, found.chunks, found.dtype) == (
            expected.shape,
            expected.chunks,
            expected.dtype,
        )
        assert {type(n) for n in (*found.shape, *found.chunks)} <= {int}
        np.testing.assert_array_equal(run(found), value)


@pytest.mark.parametrize("no_integer", [True, np.True_, 1.5, "1", None])
def test_what_is_no_integer_is_refused(no_integer):
    x = xp.asarray(VALUES, chunks=2)
    makers = [
        lambda: xp.zeros((2, no_integer)),
        lambda: xp.eye(2, k=no_integer),
        lambda: xp.linspace(0, 1, no_integer),
        lambda: xp.tril(x, k=no_integer),
        lambda: xp.roll(x, no_integer, axis=0),
        lambda: xp.expand_dims(x, no_integer),
        lambda: xp.reshape(x, (no_integer, 12)),
        lambda: xp.stack([x, x], axis=no_integer),
        lambda: xp.sum(x, axis=(no_integer, 0)),
        # As an index, None is a new axis, and a boolean a mask.
        lambda: x["a" if no_integer is None or no_integer == 1 else no_integer],
    ]
    for number, make in enumerate(makers):
        with pytest.raises((TypeError, IndexError)):
            pytest.fail(f"{number}: {make()}")
    if no_integer is None:
        return
    for make in (
        lambda: x.rechunk((no_integer, 2)),
        lambda: x.rechunk({no_integer: 2}),
        lambda: xp.sum(x, split_every=no_integer),
        lambda: xp.map_blocks(np.negative, x, chunks={0: no_integer}),
    ):
        with pytest.raises(OptionError):
            make()


@pytest.mark.parametrize("shape", [(), (5,), (2, 3), (4, 1, 3), (0, 3), (7, 2, 2)])
def test_without_an_axis_elements_are_along_one_in_c_order(shape):
    values = np.arange(float(np.prod(shape))).reshape(shape)
    for chunks in (1, 2, -1):
        x = xp.asarray(values, chunks=chunks)
        np.testing.assert_array_equal(run(xp.roll(x, 3)), np.roll(values, 3))
        both = xp.concat([x, x[..., None], xp.asarray([7])], axis=None)
        expected = np.concatenate([values, values[..., None], [7]], axis=None)
        np.testing.assert_array_equal(run(both), expected)
        np.testing.assert_array_equal(run(xp.reshape(x, (-1,))), values.reshape(-1))


def test_elements_get_another_shape_however_little_memory_a_chunk_may_take():
    values = np.arange(120).reshape(2, 3, 4, 5)
    for chunks in (1, 2):
        x = xp.asarray(values, chunks=chunks)
        for shape in [(120,), (4, 30), (30, 4), (5, 1, 4, 3, 2), (2, 60), (60, 2, 1)]:
            found = xp.Array(reshaped(x.node, shape, limit=80))
            assert np.prod(found.chunks) <= 10
            np.testing.assert_array_equal(run(found), values.reshape(shape))
    with pytest.raises(ValueError, match="120 elements"):
        xp.reshape(x, (7, -1))


@pytest.mark.parametrize("said", ["a number", "lengths"])
def test_blocks_change_their_length_where_the_last_is_shorter(said):
    values = np.arange(10.0)
    x = xp.asarray(values, chunks=4)
    twice = xp.map_blocks(
        np.repeat, x, repeats=2, chunks=(8,) if said == "a number" else ((8, 8, 4),)
    )
    assert (twice.shape, twice.chunks) == ((20,), (8,))
    np.testing.assert_array_equal(run(twice), values.repeat(2))
    half = xp.map_blocks(
        lambda block: block[::2], x, chunks={0: 2 if said == "a number" else (2, 2, 1)}
    )
    assert (half.shape, half.chunks) == ((5,), (2,))
    np.testing.assert_array_equal(run(half + 1), values[::2] + 1)
    one = xp.blockwise(
        lambda block: block[:1], "i", x, "i", adjust_chunks={"i": 1 if said == "a number" else (1, 1, 1)}
    )  # fmt: skip
    np.testing.assert_array_equal(run(one), values[::4])


def test_lengths_of_blocks_that_cannot_be_are_refused():
    x = xp.arange(10, chunks=4)
    for chunks in [((8, 8),), ((8, 4, -8),), (-3,), ((),), (8, 8), {2: 1}]:
        with pytest.raises(OptionError, match="chunks"):
            xp.map_blocks(np.negative, x, chunks=chunks)
