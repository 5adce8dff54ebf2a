"""A task's inputs and outputs."""

import pickle

import cloudpickle
import numpy as np
import pytest

from asyncexec.errors import ChunkMismatchError, WriteConflictError
from asyncexec.plan.access import AxisAccess
from asyncexec.plan.access_map import AccessMap, ReadRegion
from asyncexec.storage import (
    BlockIO,
    InMemory,
    TaskInput,
    TaskOutput,
    create_array,
    planned_array,
    read,
    write,
)
from tests.storage.regions import same_block, whole


def made(place, data, chunks):
    ref = planned_array(place, shape=data.shape, dtype=data.dtype, chunks=chunks)
    create_array(ref)
    write(ref, tuple(slice(0, n) for n in data.shape), data)
    return ref


def empty(place, shape, chunks, dtype="f8", **options):
    ref = planned_array(place, shape=shape, dtype=dtype, chunks=chunks, **options)
    create_array(ref)
    return ref


@pytest.fixture
def data(rng):
    return rng.random((10, 7))


def test_load_gives_one_input_per_source_and_the_bytes(tmp_path, data):
    ref = made(tmp_path / "x", data, (4, 3))
    other = InMemory(np.arange(7.0))
    io = BlockIO(
        sources=(
            TaskInput(array=ref, select=same_block((10, 7), (4, 3))),
            TaskInput(array=other, select=ReadRegion(AccessMap((AxisAccess(1, 3, 0, 7),)))),
        )
    )
    inputs, size = io.load((2, 1))
    np.testing.assert_array_equal(inputs[0], data[8:10, 3:6])
    np.testing.assert_array_equal(inputs[1], [3, 4, 5])
    assert size == (2 * 3 + 3) * 8


def test_what_guards_leave_out_is_not_read(data):
    along = AccessMap((AxisAccess(0, 2, 0, 10), AxisAccess.constant(0, 7)))
    parts = [along.part(0, begin, 5) for begin in (0, 5)]
    halves = [InMemory(data[:5]), InMemory(data[5:])]
    selected = zip(halves, parts, strict=True)
    io = BlockIO(sources=tuple(TaskInput(array=a, select=ReadRegion(p)) for a, p in selected))
    found = [io.load((i,)) for i in range(5)]
    assert [[b is not None for b in inputs] for inputs, _ in found] == [
        [True, False],
        [True, False],
        [True, True],
        [False, True],
        [False, True],
    ]
    assert [size for _, size in found] == [io.nbytes((i,)) for i in range(5)] == [2 * 7 * 8] * 5
    assert pickle.loads(pickle.dumps(io)).load((3,))[1] == 2 * 7 * 8


def test_inputs_are_read_only_wherever_they_come_from(tmp_path, data):
    ref = made(tmp_path / "x", data, (4, 3))
    select = whole((10, 7))
    (stored, held), _ = BlockIO(
        sources=(
            TaskInput(array=ref, select=select),
            TaskInput(array=InMemory(data), select=select),
        )
    ).load((0,))
    for block in (stored, held):
        with pytest.raises(ValueError, match="read-only"):
            block[0, 0] = 1
    data[0, 0] = 2
    assert data.flags.writeable


def test_arrays_in_memory_are_shared_within_the_process(data):
    (block,), _ = BlockIO(
        sources=(TaskInput(array=InMemory(data), select=same_block((10, 7), (4, 3))),)
    ).load((0, 0))
    assert np.shares_memory(block, data)


def test_save_writes_at_the_index_and_tells_the_bytes(tmp_path, data):
    ref = empty(tmp_path / "x", (10, 7), (4, 3))
    io = BlockIO(targets=(TaskOutput(array=ref, block=(4, 3)),))
    for i, j in np.ndindex(3, 3):
        block = data[i * 4 : i * 4 + 4, j * 3 : j * 3 + 3]
        assert io.save((i, j), block) == block.size * 8
    np.testing.assert_array_equal(read(ref, (slice(0, 10), slice(0, 7))), data)


def test_blocks_may_cover_several_chunks(tmp_path, data):
    ref = empty(tmp_path / "x", (10, 7), (2, 3))
    io = BlockIO(targets=(TaskOutput(array=ref, block=(6, 9)),))
    io.save((0, 0), data[:6])
    io.save((1, 0), data[6:])
    np.testing.assert_array_equal(read(ref, (slice(0, 10), slice(0, 7))), data)


def test_several_outputs_come_as_a_tuple(tmp_path):
    refs = [empty(tmp_path / name, (4,), (2,), dtype) for name, dtype in (("a", "f8"), ("b", "i4"))]
    io = BlockIO(targets=tuple(TaskOutput(array=ref, block=(2,)) for ref in refs), label="split")
    assert io.save((1,), (np.ones(2), np.ones(2, "i4"))) == 24
    for wrong, told in ((np.ones(2), "returned ndarray"), ((np.ones(2),), "returned a tuple of 1")):
        with pytest.raises(
            ChunkMismatchError, match=rf"the function of split, for chunk \(1,\), .*{told}"
        ):
            io.save((1,), wrong)


def test_an_array_without_axes(tmp_path):
    ref = empty(tmp_path / "x", (), ())
    io = BlockIO(
        sources=(TaskInput(array=InMemory(np.array(2.5)), select=same_block((), ())),),
        targets=(TaskOutput(array=ref, block=()),),
    )
    (block,), size = io.load(())
    assert (block.shape, size) == ((), 8)
    assert io.save((), np.float64(block) * 2) == 8
    assert read(ref, ()) == 5.0


@pytest.mark.parametrize(
    "result,told",
    [
        (np.ones((4, 2)), r"returned a block of shape \(4, 2\) where shape \(4, 3\)"),
        (np.ones((4, 3), "f4"), "returned elements of type float32 where float64"),
        (None, r"returned a block of shape \(\)"),
        (3.0, r"returned a block of shape \(\)"),
    ],
)
def test_a_kernel_that_returns_something_else_is_told_what_was_expected(tmp_path, result, told):
    ref = empty(tmp_path / "x", (10, 7), (4, 3))
    io = BlockIO(targets=(TaskOutput(array=ref, block=(4, 3)),), label="double")
    with pytest.raises(
        ChunkMismatchError, match=rf"the function of double, for chunk \(0, 1\), {told}"
    ):
        io.save((0, 1), result)
    assert not (tmp_path / "x/c").exists()


def test_blocks_that_share_a_chunk_or_shard_are_refused(tmp_path):
    ref = planned_array(tmp_path / "x", shape=(10, 7), dtype="f8", chunks=(4, 3), shards=(8, 3))
    for block in ((4, 3), (8, 4), (12, 3), (1, 1)):
        if block == (12, 3):
            TaskOutput(array=ref, block=block)
            continue
        with pytest.raises(WriteConflictError, match="two tasks would write one"):
            TaskOutput(array=ref, block=block)
    TaskOutput(array=ref, block=(8, 6))
    TaskOutput(array=ref, block=(10, 7))


def test_bound_changes_every_reference(tmp_path):
    ref, other = (planned_array(f"run://{n}", shape=(4,), dtype="f8", chunks=(2,)) for n in "ab")
    io = BlockIO(
        sources=(
            TaskInput(array=ref, select=whole((4,))),
            TaskInput(array=InMemory(np.ones(3)), select=whole((3,))),
        ),
        targets=(TaskOutput(array=other, block=(2,)),),
    )
    seen = []

    def change(array):
        seen.append(array.location.url)
        return array

    bound = io.bound(change)
    assert seen == ["run://a", "run://b"]
    assert bound.sources[1].array is io.sources[1].array


def test_travels_to_workers(tmp_path, data):
    ref = made(tmp_path / "x", data, (4, 3))
    io = BlockIO(sources=(TaskInput(array=ref, select=same_block((10, 7), (4, 3))),))
    for blob in (pickle.dumps(io), cloudpickle.dumps(io)):
        assert len(blob) < 1500
        (block,), _ = pickle.loads(blob).load((1, 1))
        np.testing.assert_array_equal(block, data[4:8, 3:6])


def test_text_is_short(tmp_path):
    assert repr(InMemory(np.zeros((1000, 3)))) == "InMemory(float64[1000, 3])"
