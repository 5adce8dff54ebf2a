"""Which blocks are stored: a listing, not a belief."""

import uuid
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, strategies as st
from zarr.storage import ObjectStore

from asyncexec.plan.access import AxisAccess
from asyncexec.plan.access_map import AccessMap
from asyncexec.storage import TaskOutput, create_array, locate, planned_array, write
from asyncexec.storage.chunks.chunk_keys import ChunkKeys
from asyncexec.storage.workspace.presence import blocks_present, by_task, runs


def made(place, **options):
    ref = planned_array(place, **({"shape": (10, 7), "dtype": "f8", "chunks": (2, 3)} | options))
    create_array(ref)
    return ref


def put(ref, target, index):
    region = target.region(index)
    write(ref, region, np.zeros(tuple(s.stop - s.start for s in region)))


@pytest.mark.parametrize("where", ["local", "memory"])
@pytest.mark.parametrize(
    "options,block",
    [({}, (2, 3)), ({"shards": (4, 3)}, (4, 3)), ({}, (4, 6)), ({"shards": (4, 6)}, (8, 6))],
)
def test_a_block_is_present_once_all_its_chunks_are(tmp_path, where, options, block, request):
    ref = made(tmp_path / "x" if where == "local" else f"memory://{request.node.name}/x", **options)
    target = TaskOutput(array=ref, block=block)
    assert not blocks_present(target).any()
    put(ref, target, (1, 0))
    put(ref, target, (0, 1))
    present = blocks_present(target)
    assert np.argwhere(present).tolist() == [[0, 1], [1, 0]]
    assert present.shape == tuple(-(-n // b) for n, b in zip((10, 7), block, strict=True))


@pytest.mark.parametrize("where", ["local", "memory", "obstore"])
@pytest.mark.parametrize(
    "keys", [ChunkKeys(kind, mark) for kind in ("default", "v2") for mark in "/."], ids=repr
)
@pytest.mark.parametrize("shape", [(10, 7), (10,), ()], ids=["two-axes", "one-axis", "no-axes"])
def test_chunks_are_found_however_their_keys_are_spelt(tmp_path, where, keys, shape, request):
    if where == "obstore":
        obstore = pytest.importorskip("obstore")
        place = locate(ObjectStore(obstore.store.MemoryStore()), path="x")
    else:
        place = tmp_path / "x" if where == "local" else f"memory://keys-{uuid.uuid4().hex}/x"
    planned = planned_array(place, shape=shape, dtype="f8", chunks=(2, 3)[: len(shape)])
    ref = replace(planned, keys=keys)
    create_array(ref)
    target = TaskOutput(array=ref, block=ref.chunks)
    assert not blocks_present(target).any()
    index = (1, 2)[: len(shape)]
    put(ref, target, index)
    assert np.argwhere(blocks_present(target)).tolist() == [list(index)]


def test_a_block_of_which_a_chunk_was_removed_is_not_present(tmp_path):
    ref = made(tmp_path / "x")
    target = TaskOutput(array=ref, block=(4, 6))
    put(ref, target, (0, 0))
    (tmp_path / "x/c/1/1").unlink()
    assert not blocks_present(target).any()


def test_foreign_files_are_not_taken_for_chunks(tmp_path):
    ref = made(tmp_path / "x")
    for name in (
        "c/0/0.abc.partial",
        "c/9/9",
        "c/0/zero",
        "c/0/0/0/0",
        "c/-1/0",
        "c/x",
        "other/0/0",
    ):
        path = tmp_path / "x" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    assert not blocks_present(TaskOutput(array=ref, block=(2, 3))).any()


def test_an_array_without_axes_and_one_without_elements(tmp_path):
    point = made(tmp_path / "p", shape=(), chunks=())
    target = TaskOutput(array=point, block=())
    assert not blocks_present(target)
    put(point, target, ())
    assert blocks_present(target)
    empty = made(tmp_path / "e", shape=(0, 7))
    assert blocks_present(TaskOutput(array=empty, block=(2, 3))).shape == (0, 3)


def test_a_chunk_that_lost_its_data_with_the_power_is_not_present(tmp_path):
    ref = made(tmp_path / "x")
    target = TaskOutput(array=ref, block=(2, 3))
    put(ref, target, (1, 0))
    put(ref, target, (1, 1))
    (tmp_path / "x/c/1/1").write_bytes(b"")
    assert np.argwhere(blocks_present(target)).tolist() == [[1, 0]]


@given(st.lists(st.booleans(), max_size=30))
def test_runs_are_the_flat_indices_in_order(present):
    found = runs(np.array(present, bool))
    assert [i for run in found for i in run] == [i for i, there in enumerate(present) if there]
    assert all(a.stop < b.start for a, b in pairwise(found))


def test_presence_goes_by_task_where_blocks_do_not_lie_at_the_tasks_index(tmp_path):
    ref = made(tmp_path / "x")
    rows_follow_the_second_axis = AccessMap(
        (AxisAccess(1, 4, 0, 10), AxisAccess.constant(0, 7)),
    )
    target = TaskOutput(array=ref, block=(4, 9), access=rows_follow_the_second_axis)
    assert target.region((0, 2)) == (slice(8, 10, 1), slice(0, 7, 1))
    assert target.number((0, 2)) == (2, 0)
    put(ref, target, (0, 2))
    assert by_task(target, (1, 3), blocks_present(target)).tolist() == [[False, False, True]]
