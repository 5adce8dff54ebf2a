"""Chunks whose lengths differ along an axis: every function takes them, and those that can keep them do."""

import math
import pickle
import tracemalloc
from itertools import accumulate

import numpy as np
import pytest
import zarr

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.errors import OptionError, TaskFailedError
from asyncexec.plan.lengths import (
    Lengths,
    block_at,
    block_start,
    border_after,
    border_before,
    count_blocks,
    each_length,
    fitting_length,
    grouped_lengths,
    lengths_of,
    misplaced_border,
)
from tests.array.direct import run
from tests.array.function_examples import EXAMPLES, Operands

DATA = np.arange(40.0).reshape(10, 4)
N = 12


class Sided(Operands):
    """Operands in any chunks, of `N` by twice as many elements."""

    @property
    def n(self):
        return N


def operands(chunks):
    made = np.random.default_rng(0).random((2, N, 2 * N))
    return Sided(*(xp.asarray(each, chunks=chunks) for each in made))


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_function_makes_of_such_chunks_what_it_makes_of_others(name):
    found, expected = (
        EXAMPLES[name](operands(chunks)) for chunks in [((3, 9), (7, 1, 16)), (N, N)]
    )
    assert type(found) is type(expected)
    pairs = zip(found, expected, strict=True) if isinstance(found, tuple) else [(found, expected)]
    for one, other in pairs:
        if not isinstance(one, xp.Array):
            assert one == other
            continue
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
        np.testing.assert_allclose(run(one), run(other), rtol=1e-6, atol=1e-9)


@pytest.fixture
def x():
    return xp.asarray(DATA, chunks=((3, 5, 2), 3))


def test_chunks_are_said_as_they_were_given(x):
    assert x.chunks == ((3, 5, 2), 3)
    assert x.chunksizes == ((3, 5, 2), (3, 1))
    assert x.numblocks == (3, 2)
    assert "chunks=((3, 5, 2), 3)" in repr(x)
    assert xp.zeros_like(x).chunks == x.chunks
    assert xp.ones(6, chunks=((4, 0, 2),)).chunks == (4,)
    assert xp.ones(5, chunks=((2, 2, 1),)).chunks == (2,)
    with pytest.raises(OptionError, match="add up to 7"):
        xp.ones(6, chunks=((4, 3),))


@pytest.mark.parametrize(
    "function, chunks",
    [
        (lambda x: x * 2 + 1, ((3, 5, 2), 3)),
        (lambda x: x + DATA, ((3, 5, 2), 3)),
        (np.sqrt, ((3, 5, 2), 3)),
        (lambda x: x.T, (3, (3, 5, 2))),
        (
            lambda x: x.T if isinstance(x, np.ndarray) else xp.permute_dims(x, (1, 0)),
            (3, (3, 5, 2)),
        ),
        (lambda x: x[:, None], ((3, 5, 2), 1, 3)),
        (lambda x: x[::-1], ((2, 5, 3), 3)),
        (lambda x: x[2:9], ((1, 5, 1), 3)),
        (lambda x: x[1:8:3], ((1, 2), 3)),
        (lambda x: x[8:2:-2], ((1, 2), 3)),
        (lambda x: x[:, 1], ((3, 5, 2),)),
        (lambda x: x[[0, 1, 4, 9]], ((2, 1, 1), 3)),
        (lambda x: x[x[:, 0] % 8 == 0], ((2, 2, 1), 3)),
        (lambda x: x.sum(axis=1), ((3, 5, 2),)),
        (lambda x: x.sum(axis=0), (3,)),
        (lambda x: x.mean(axis=0), (3,)),
        (lambda x: x.std(), ()),
        (lambda x: np.concat([x, x[4:]]), ((3, 5, 2, 4, 2), 3)),
        (lambda x: np.stack([x, x]), (1, (3, 5, 2), 3)),
        (lambda x: np.broadcast_to(x, (2, 10, 4)), (2, (3, 5, 2), 3)),
    ],
)
def test_what_keeps_chunks_keeps_their_lengths(x, function, chunks):
    found, expected = function(x), function(DATA)
    np.testing.assert_allclose(run(found), expected)
    listed = tuple(c if isinstance(c, int) else lengths_of(c) for c in chunks)
    assert found.chunksizes == tuple(map(each_length, expected.shape, listed))


@pytest.mark.parametrize(
    "make",
    [
        lambda c: xp.ones((10, 4), chunks=c),
        lambda c: xp.eye(10, 4, chunks=c),
        lambda c: xp.tri(10, 4, chunks=c),
        lambda c: xp.arange(10, chunks=c[:1]),
        lambda c: xp.linspace(0, 1, 10, chunks=c[:1]),
        lambda c: xp.random.default_rng(1).normal(size=(10, 4), chunks=c),
        lambda c: xp.random.default_rng(1).permutation(10, chunks=c[:1]),
        lambda c: xp.fromfunction(lambda i, j: i + j, (10, 4), chunks=c, dtype=float),
        lambda c: xp.from_blocks(
            lambda region: DATA[region] + 0.0, (10, 4), chunks=c, dtype=np.float64
        ),
        lambda c: xp.from_array(Read(), chunks=c),
        lambda c: xp.broadcast_to(xp.arange(4), (10, 4), chunks=c),
    ],
)
def test_what_makes_arrays_makes_them_in_such_chunks(make):
    found, expected = make(((3, 5, 2), 3)), make((4, 4))
    assert found.chunks[0] == (3, 5, 2)
    np.testing.assert_array_equal(run(found), run(expected))


class Read:
    """An array of another library, which is read part by part."""

    shape, dtype, ndim = DATA.shape, DATA.dtype, 2

    def __getitem__(self, key):
        return DATA[key]


def test_functions_of_blocks_get_and_return_blocks_of_these_lengths(x):
    lengths = np.repeat([3.0, 5.0, 2.0], [3, 5, 2])[:, None]
    found = xp.map_blocks(lambda b: b * 0 + len(b), x)
    np.testing.assert_array_equal(run(found), np.broadcast_to(lengths, (10, 4)))
    assert found.chunks == x.chunks
    halves = xp.map_blocks(lambda b: b[::2], x, chunks={0: lambda n: -(-n // 2)}, dtype=float)
    assert halves.chunks == ((2, 3, 1), 3)
    np.testing.assert_array_equal(run(halves), DATA[[0, 2, 3, 5, 7, 8]])
    first = xp.map_blocks(lambda b: b[:1], x, chunks={0: 1}, dtype=float)
    np.testing.assert_array_equal(run(first), DATA[[0, 3, 8]])

    def location(block, block_info):
        return block * 0 + block_info[0]["array-location"][0][0]

    found = run(xp.map_blocks(location, x, dtype=float))
    np.testing.assert_array_equal(found[:, 0], np.repeat([0, 3, 8], [3, 5, 2]))
    two = xp.apply_gufunc(lambda b: (b.min(-1), b.max(-1)), "(i)->(),()", x, allow_rechunk=True)
    assert [each.chunks for each in two] == [((3, 5, 2),)] * 2
    np.testing.assert_array_equal(run(two[1]), DATA.max(axis=1))


@pytest.mark.parametrize("before, after", [(((3, 5, 2), 3), (4, 2)), ((4, 2), ((1, 6, 3), 4))])
@pytest.mark.parametrize("memory", ["2MB", "200MB"])
def test_chunks_become_others_and_back(before, after, memory):
    spec = xp.Spec(allowed_mem=memory, reserved_mem="1MB")
    x = xp.asarray(DATA, chunks=before, spec=spec)
    found = x.rechunk(after)
    assert found.chunks == after
    np.testing.assert_array_equal(run(found), DATA)
    np.testing.assert_array_equal(run((found + 1).rechunk(before)), DATA + 1)


def test_a_rechunking_that_is_stored_goes_through_regular_chunks():
    data = np.arange(120.0 * 90).reshape(120, 90)
    columns = (*range(1, 13), 12)
    x = xp.map_blocks(lambda b: b + 1, xp.asarray(data, chunks=(10, 90)), dtype=float)
    found = x.rechunk((120, columns))
    assert len(found.to_plan().stages) > 1
    np.testing.assert_array_equal(run(found), data + 1)


@pytest.mark.parametrize("executor", ["serial", "threads", "processes"])
def test_such_chunks_on_every_executor(tmp_path, x, executor):
    spec = xp.Spec(work_dir=tmp_path / "work", allowed_mem="200MB", executor=executor)
    x = xp.asarray(DATA, chunks=x.chunks, spec=spec)
    blocks = xp.map_blocks(np.negative, xp.concat([x, x[:4]]), dtype=float)
    found = xp.sort(blocks, axis=0) + xp.map_blocks(np.negative, blocks, dtype=float)
    data = np.concatenate([DATA, DATA[:4]])
    np.testing.assert_array_equal(found.compute(), np.sort(-data, axis=0) + data)


def test_zarrs_rectilinear_grids_are_written_and_read(tmp_path, x):
    xp.to_zarr(x * 2, tmp_path / "a")
    with zarr.config.set({"array.rectilinear_chunks": True}):
        stored = zarr.open_array(tmp_path / "a")
        np.testing.assert_array_equal(stored[:], DATA * 2)
        assert stored.write_chunk_sizes == ((3, 5, 2), (3, 1))
    found = xp.from_zarr(tmp_path / "a")
    assert found.chunks == x.chunks
    np.testing.assert_array_equal((found / 2).compute(), DATA)


@pytest.mark.parametrize(
    "options, chunks",
    [
        ({"chunks": ((1, 9), 2)}, ((1, 9), 2)),
        ({"chunks": 4}, (4, 4)),
        ({"chunks": (2, 2), "shards": ((6, 4), 4)}, (6, 4)),
        ({"shards": ((4, 6), 4)}, ((4, 6), 4)),
        ({"shards": (5, 4)}, (5, 4)),
        ({"zarr_format": 2}, (5, 3)),
        ({"compressors": None, "chunks": ((1, 9), 4)}, ((1, 9), 4)),
    ],
)
def test_what_is_stored_has_the_chunks_that_are_asked_for(tmp_path, x, options, chunks):
    xp.to_zarr(x + 1, tmp_path / "a", **options)
    found = xp.from_zarr(tmp_path / "a")
    assert found.chunks == chunks
    np.testing.assert_array_equal(found.compute(), DATA + 1)


async def test_a_run_goes_on_with_the_chunks_that_are_there(tmp_path, x):
    damaged = tmp_path / "damaged"
    damaged.touch()

    def shifted(block, block_id):
        if block_id == (2, 1) and damaged.exists():
            raise ValueError("not this one")
        return block + 1

    spec = xp.Spec(work_dir=tmp_path / "work", allowed_mem="200MB")
    given = xp.asarray(DATA, chunks=x.chunks, spec=spec)
    plan = xp.sort(xp.map_blocks(shifted, given, dtype=float), axis=0).to_plan()
    async with ax.Engine("serial", work_dir=tmp_path / "work") as engine:
        with pytest.raises(TaskFailedError):
            await engine.execute(plan, resume=True, retry=1)
        damaged.unlink()
        result = await engine.execute(plan, resume=True)
    np.testing.assert_array_equal(result.value, DATA + 1)
    assert result.attempts < plan.tasks


def test_what_lengths_chunks_have_is_part_of_a_plans_fingerprint():
    plans = [
        xp.map_blocks(np.negative, xp.ones(10, chunks=(c,)), dtype=float).to_plan()
        for c in [(3, 5, 2), (5, 3, 2), (3, 5, 2), 5]
    ]
    prints = [plan.fingerprint for plan in plans]
    assert prints[0] == prints[2]
    assert len(set(prints)) == 3


def test_lengths_are_numbers_that_can_be_sent():
    lengths = lengths_of([3, 5, 2])
    assert isinstance(lengths, Lengths)
    assert (int(lengths), lengths.each, lengths.total) == (5, (3, 5, 2), 10)
    again = pickle.loads(pickle.dumps(lengths))
    assert again == lengths
    assert hash(again) == hash(lengths)
    assert lengths not in (5, lengths_of([5, 3, 2]))
    assert repr(lengths) == "(3, 5, 2)"
    many = Lengths(tuple(accumulate([1, 2] * 50_000)))
    assert len(repr(many)) < 100
    assert len(pickle.dumps([many] * 100)) < 1.01 * len(pickle.dumps([many]))


def test_lengths_that_follow_others_share_what_is_before():
    first = lengths_of([3, 5])
    once, again = first.followed_by([0, 2, 7]), first.followed_by([2, 7])
    assert once == again == lengths_of([3, 5, 2, 7])
    assert hash(once) == hash(again) == hash(lengths_of([3, 5, 2, 7]))
    assert (once.each, once.ends, int(once), once.total) == ((3, 5, 2, 7), (3, 8, 10, 17), 7, 17)
    assert (first.each, first.total, first.at(8), first.start(5)) == ((3, 5), 8, 2, 8)
    assert once.behind(first) == (2, 7)
    assert again.behind(first) is None
    assert first.followed_by([]) is first
    assert pickle.loads(pickle.dumps(first)).each == (3, 5)


def test_growing_lengths_take_memory_in_proportion():
    def bytes_of(count):
        tracemalloc.start()
        steps = [lengths_of([1, 2])]
        for number in range(count):
            steps.append(steps[-1].followed_by([1 + number % 3]))
        used = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert steps[-1].count == count + 2
        return used

    assert bytes_of(8_000) < 5 * bytes_of(2_000)


@pytest.mark.parametrize("length", [4, lengths_of([3, 5, 2]), lengths_of([1, 1, 8])])
def test_blocks_of_either_kind_answer_alike(length):
    each = each_length(10, length)
    ends = list(accumulate(each))
    assert (sum(each), len(each)) == (10, count_blocks(10, length))
    owners = np.repeat(np.arange(len(each)), each)
    for e in range(10):
        assert block_at(length, e) == owners[e]
        assert border_before(length, e) == ([0, *ends])[owners[e]]
        assert border_after(10, length, e) == min(end for end in [0, *ends] if end >= e)
    assert [block_start(length, k) for k in range(len(each))] == [0, *ends[:-1]]
    pairs = grouped_lengths(length, 2)
    assert each_length(10, pairs) == tuple(sum(each[k : k + 2]) for k in range(0, len(each), 2))
    assert fitting_length(10, length) == length
    assert fitting_length(7, length) == min(7, int(length))
    assert misplaced_border(10, length, length) is None
    assert misplaced_border(10, 10, length) is None
    assert math.prod([length]) == int(length)
