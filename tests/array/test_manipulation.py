"""Manipulation and creation functions, against NumPy's."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

import asyncexec.array as xp
from tests.array.direct import run
from tests.array.names import BINARY, REDUCTIONS, STANDARD, UNARY
from tests.array.strategies import chunks_of, leaves, shapes


@pytest.fixture
def data():
    return np.arange(24).reshape(2, 3, 4)


@pytest.fixture
def x(data):
    return xp.asarray(data, chunks=(1, 2, 3))


@pytest.mark.parametrize("name", [*UNARY, *BINARY, *REDUCTIONS, *STANDARD])
def test_the_namespace_has_it(name):
    assert hasattr(xp, name)
    assert name in xp.__all__


def test_the_array_leads_to_the_namespace(x):
    assert x.__array_namespace__() is xp
    assert x.__array_namespace__(api_version="2024.12") is xp
    assert xp.__array_api_version__ == "2025.12"
    with pytest.raises(ValueError, match="2030"):
        x.__array_namespace__(api_version="2030.01")
    assert x.device == "cpu"
    assert x.to_device("cpu") is x
    with pytest.raises(ValueError, match="gpu"):
        x.to_device("gpu")


@pytest.mark.parametrize(
    "ours, numpys",
    [
        (lambda x: xp.permute_dims(x, (2, 0, 1)), lambda a: np.transpose(a, (2, 0, 1))),
        (lambda x: xp.permute_dims(x, (-1, 0, 1)), lambda a: np.transpose(a, (-1, 0, 1))),
        (xp.matrix_transpose, np.matrix_transpose),
        (lambda x: x.mT, np.matrix_transpose),
        (lambda x: x[0].T, lambda a: a[0].T),
        (lambda x: xp.expand_dims(x, axis=1), lambda a: np.expand_dims(a, 1)),
        (lambda x: xp.expand_dims(x, axis=(0, -1)), lambda a: np.expand_dims(a, (0, -1))),
        (lambda x: xp.squeeze(x[:1], 0), lambda a: a[0]),
        (lambda x: xp.squeeze(x[:1, :, :1], (0, 2)), lambda a: a[0, :, 0]),
        (xp.flip, np.flip),
        (lambda x: xp.flip(x, axis=-1), lambda a: np.flip(a, -1)),
        (lambda x: xp.moveaxis(x, 0, 2), lambda a: np.moveaxis(a, 0, 2)),
        (lambda x: xp.moveaxis(x, (0, 1), (-1, 0)), lambda a: np.moveaxis(a, (0, 1), (-1, 0))),
        (lambda x: xp.roll(x, 2, axis=2), lambda a: np.roll(a, 2, 2)),
        (lambda x: xp.roll(x, (1, -1), axis=(0, 2)), lambda a: np.roll(a, (1, -1), (0, 2))),
        (lambda x: xp.roll(x, 8, axis=1), lambda a: np.roll(a, 8, 1)),
        (lambda x: xp.unstack(x, axis=1)[2], lambda a: a[:, 2]),
        (
            lambda x: xp.broadcast_to(x[:, :1], (5, 2, 3, 4)),
            lambda a: np.broadcast_to(a[:, :1], (5, 2, 3, 4)),
        ),
        (lambda x: xp.broadcast_arrays(x[0], x)[0], lambda a: np.broadcast_to(a[0], a.shape)),
        (lambda x: xp.concat([x, x[:, ::-1]], axis=1), lambda a: np.concat([a, a[:, ::-1]], 1)),
        (lambda x: xp.concat([x, x * 1.5], axis=-1), lambda a: np.concat([a, a * 1.5], -1)),
        (lambda x: xp.concat([x, x])[::-1], lambda a: np.concat([a, a])[::-1]),
        (
            lambda x: xp.concat([x[0, 0], x[1, 1]], axis=None),
            lambda a: np.concat([a[0, 0], a[1, 1]]),
        ),
        (lambda x: xp.stack([x, x + 1], axis=-1), lambda a: np.stack([a, a + 1], -1)),
        (lambda x: xp.tril(x, k=1), lambda a: np.tril(a, 1)),
        (lambda x: xp.triu(x, k=-1), lambda a: np.triu(a, -1)),
    ],
)
def test_manipulations(ours, numpys, x, data):
    expected = numpys(data)
    found = ours(x)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_array_equal(run(found), expected)


@pytest.mark.parametrize(
    "wrong, match",
    [
        (lambda x: xp.permute_dims(x, (0, 1)), "each of the 3 axes once"),
        (lambda x: xp.permute_dims(x, (0, 1, 1)), "twice"),
        (lambda x: xp.squeeze(x, 0), "axis 0 has 2 elements"),
        (
            lambda x: xp.broadcast_to(x, (3, 4)),
            r"\(2, 3, 4\) cannot be broadcast to \(3, 4\)|do not broadcast",
        ),
        (lambda x: xp.concat([x, x[:, :2]], axis=0), "all other axes must be equal"),
        (lambda x: xp.concat([]), "no arrays"),
        (lambda x: xp.stack([x, x[:1]]), "differ"),
        (lambda x: xp.stack([]), "no arrays"),
        (lambda x: x.T, "two axes"),
        (lambda x: x[0, 0].mT, "at least two axes"),
        (lambda x: xp.roll(x, (1, 2, 3), axis=(0, 1)), "3 shifts for 2 axes"),
        (lambda x: xp.tril(x[0, 0]), "takes matrices"),
        (lambda x: xp.moveaxis(x, (0, 1), 0), "cannot be moved"),
    ],
)
def test_what_cannot_be_is_a_value_error(wrong, match, x):
    with pytest.raises(ValueError, match=match):
        wrong(x)


@given(st.data())
def test_concatenating_any_number_of_parts(data):
    shape = data.draw(shapes(side=st.integers(1, 5)).filter(len))
    axis = data.draw(st.integers(0, len(shape) - 1))
    parts = [
        data.draw(
            leaves(
                shape=(*shape[:axis], data.draw(st.integers(0, 5)), *shape[axis + 1 :]),
                dtypes=["f8"],
            )
        )
        for _ in range(data.draw(st.integers(1, 5)))
    ]
    joined = xp.concat([p for p, _ in parts], axis=axis)
    expected = np.concat([a for _, a in parts], axis=axis)
    key = (slice(None),) * axis + (data.draw(st.slices(expected.shape[axis])),)
    np.testing.assert_array_equal(run(joined), expected)
    np.testing.assert_array_equal(run(joined[key]), expected[key])


def test_a_task_reads_only_the_part_it_needs(tmp_path):
    parts = [xp.map_blocks(np.negative, xp.full((10, 4), k, chunks=(10, 4))) for k in range(6)]
    places = [tmp_path / str(k) for k in range(7)]
    plan = xp.store([*parts, xp.stack(parts, axis=0)], places).to_plan()
    stacked = plan.stages[-1]
    assert stacked.shape == (6, 1, 1)
    assert len(stacked.reads) == 6
    readers = []
    for read in stacked.reads:
        boxes = [read.relation.reads((range(k, k + 1), range(1), range(1))) for k in range(6)]
        readers += [k for k, box in enumerate(boxes) if all(len(span) for span in box)]
    assert sorted(readers) == list(range(6))


@pytest.mark.parametrize(
    "ours, numpys",
    [
        (xp.arange(10, chunks=3), np.arange(10)),
        (xp.arange(3, 20, 4, chunks=2), np.arange(3, 20, 4)),
        (xp.arange(10, 0, -3, chunks=2), np.arange(10, 0, -3)),
        (xp.arange(0.5, 3, 0.25, chunks=4), np.arange(0.5, 3, 0.25)),
        (xp.arange(5, dtype="float32", chunks=2), np.arange(5, dtype="float32")),
        (xp.arange(5, 2), np.arange(5, 2)),
        (xp.linspace(0, 1, 11, chunks=4), np.linspace(0, 1, 11)),
        (xp.linspace(2, -3, 7, endpoint=False, chunks=4), np.linspace(2, -3, 7, endpoint=False)),
        (xp.linspace(0, 1, 1), np.linspace(0, 1, 1)),
        (xp.linspace(0, 1, 0), np.linspace(0, 1, 0)),
        (xp.linspace(0, 1j, 5, chunks=2), np.linspace(0, 1j, 5)),
        (xp.linspace(0, 10, 5, dtype="int32", chunks=2), np.linspace(0, 10, 5, dtype="int32")),
        (xp.eye(5, chunks=2), np.eye(5)),
        (xp.eye(3, 5, k=1, dtype="int8", chunks=2), np.eye(3, 5, k=1, dtype="int8")),
        (xp.zeros((3, 2), chunks=2), np.zeros((3, 2))),
        (xp.ones(4, dtype="bool"), np.ones(4, dtype="bool")),
        (xp.empty((2, 0)), np.zeros((2, 0))),
        (xp.full((3, 3), 7, chunks=2), np.full((3, 3), 7)),
        (xp.full(3, 1j), np.full(3, 1j)),
        (xp.full((), True), np.full((), True)),
        (xp.zeros_like(xp.arange(3)), np.zeros_like(np.arange(3))),
        (xp.ones_like(xp.arange(3), dtype="f4"), np.ones_like(np.arange(3), dtype="f4")),
        (xp.full_like(xp.arange(3), 9), np.full_like(np.arange(3), 9)),
        (xp.asarray([[1, 2], [3, 4]]), np.asarray([[1, 2], [3, 4]])),
        (xp.asarray(3.5), np.asarray(3.5)),
        (xp.asarray([1, 2], dtype=xp.float32), np.asarray([1, 2], dtype="f4")),
    ],
)
def test_creation(ours, numpys):
    assert (ours.shape, ours.dtype) == (numpys.shape, numpys.dtype)
    np.testing.assert_array_equal(run(ours), numpys)


@given(
    st.integers(-50, 50), st.integers(-50, 50), st.integers(-9, 9).filter(bool), st.integers(1, 9)
)
def test_ranges_of_integers(start, stop, step, chunk):
    expected = np.arange(start, stop, step)
    np.testing.assert_array_equal(run(xp.arange(start, stop, step, chunks=chunk)), expected)


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.integers(0, 40), st.booleans())
def test_spaced_values_are_numpys_to_the_bit(start, stop, num, endpoint):
    expected = np.linspace(start, stop, num, endpoint=endpoint)
    found = run(xp.linspace(start, stop, num, endpoint=endpoint, chunks=7))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("indexing", ["xy", "ij"])
def test_meshgrid(indexing):
    given_ = [np.arange(3), np.arange(4.0), np.arange(2)]
    ours = xp.meshgrid(*(xp.asarray(a, chunks=2) for a in given_), indexing=indexing)
    for found, expected in zip(ours, np.meshgrid(*given_, indexing=indexing), strict=True):
        np.testing.assert_array_equal(run(found), expected)


@pytest.mark.parametrize(
    "wrong, match",
    [
        (lambda: xp.arange(1, 2, 0), "never end"),
        (lambda: xp.linspace(0, 1, -1), "-1 values"),
        (lambda: xp.zeros((-1,)), "integers from 0"),
        (lambda: xp.zeros(3, device="gpu"), "gpu"),
        (lambda: xp.asarray([1], copy=False), "must be copied"),
        (lambda: xp.asarray(np.ones(2, ">f4"), copy=False), "byte order"),
        (lambda: xp.meshgrid(xp.ones((2, 2))), "one axis"),
        (lambda: xp.meshgrid(xp.ones(2), indexing="yx"), "'xy' or 'ij'"),
    ],
)
def test_what_cannot_be_made_is_a_value_error(wrong, match):
    with pytest.raises(ValueError, match=match):
        wrong()


def test_data_in_memory_is_copied():
    data = np.zeros(3)
    x = xp.asarray(data)
    data[:] = 1
    assert run(x).tolist() == [0, 0, 0]


def test_data_in_memory_is_shared_if_asked_for():
    data = np.zeros(3)
    x = xp.from_array(data, copy=False)
    data[:] = 1
    assert run(x).tolist() == [1, 1, 1]
    assert data.flags.writeable


def test_an_array_as_an_array():
    x = xp.ones((4, 4), chunks=2)
    assert xp.asarray(x).node is x.node
    assert xp.asarray(x, chunks=4).chunks == (4, 4)
    assert xp.asarray(x, dtype="int8").dtype == np.int8


def test_datasets_are_read_by_indexing():
    class Dataset:
        shape, dtype = (3,), np.dtype("f4")

        def __getitem__(self, key):
            return np.arange(3, dtype="f4")[key]

    assert run(xp.from_array(Dataset(), chunks=2)).tolist() == [0, 1, 2]


def test_drawing(tmp_path):
    xp.sum(xp.ones(4, chunks=2)).visualize(tmp_path / "plan.svg")
    assert "<svg" in (tmp_path / "plan.svg").read_text()


def test_data_types():
    assert xp.isdtype(xp.float32, "real floating")
    assert xp.isdtype(xp.int8, ("bool", "signed integer"))
    assert not xp.isdtype(xp.int8, xp.int16)
    with pytest.raises(ValueError, match="no kind"):
        xp.isdtype(xp.int8, "odd")
    assert xp.can_cast(xp.ones(2, dtype="int8"), xp.int16)
    assert xp.result_type(xp.ones(2, dtype="int8"), 1, xp.float32) == xp.float32
    assert xp.finfo(xp.ones(2)).bits == 64
    assert xp.iinfo(xp.int8).max == 127


@given(st.data())
def test_broadcasting_to_a_shape_in_chunks(data):
    shape = data.draw(shapes(most_dims=2))
    whole = (data.draw(st.integers(0, 4)), *shape)
    chunks = data.draw(chunks_of(whole))
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    found = xp.broadcast_to(
        xp.asarray(array, chunks=data.draw(chunks_of(shape))), whole, chunks=chunks
    )
    assert found.chunks == chunks
    np.testing.assert_array_equal(run(found), np.broadcast_to(array, whole))


def test_how_an_array_shows_itself():
    x = xp.ones((1000, 500), chunks=(100, 500))
    assert repr(x) == "<asyncexec.Array shape=(1000, 500) dtype=float64 chunks=(100, 500) (4.0 MB)>"
    html = x._repr_html_()
    assert "10 chunks" in html
    assert "400.0 kB" in html
    assert (x.ndim, x.size, x.nbytes, x.itemsize, x.numblocks) == (
        2,
        500_000,
        4_000_000,
        8,
        (10, 1),
    )


def test_nested_concatenations_are_one_stage_unless_another_reads_them():
    values = np.arange(6.0).reshape(3, 2)
    x = xp.asarray(values, chunks=1)
    nested = xp.concat([xp.concat([x, x[::-1]]), xp.concat([x * 2, xp.concat([x[:0], x])]), x])
    assert len(nested.to_plan().stages) == 1
    expected = np.concatenate([values, values[::-1], values * 2, values, values])
    np.testing.assert_array_equal(run(nested), expected)
    both = xp.concat([x, x])
    four = xp.concat([both, both])
    np.testing.assert_array_equal(run(four[::-1][1:7]), np.concatenate([values] * 4)[::-1][1:7])
    plan = xp.plan_of(both, xp.concat([both, x]))
    assert len(plan.stages) == 2
    whole_numbers = xp.concat([xp.asarray([1, 2]), xp.asarray([3])])
    mixed = xp.concat([whole_numbers, xp.asarray([0.5])])
    assert run(mixed).tolist() == [1.0, 2.0, 3.0, 0.5]
