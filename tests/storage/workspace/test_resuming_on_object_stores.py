"""Runs that are resumed on object stores take for done only what their own plan has written."""

import asyncio

import numpy as np
import pytest
import zarr
from zarr.storage import FsspecStore, ObjectStore

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.storage import locate
from asyncexec.storage.places.contents import contents

obstore = pytest.importorskip("obstore")

DATA = np.arange(24, dtype="f8").reshape(6, 4)


def fails_until(marker):
    def kernel(block):
        if block[0, 0] == DATA[4, 2] and not marker.exists():
            raise ArithmeticError
        return block + 1

    return kernel


def run(plan, **options):
    async def main():
        async with ax.Engine("serial") as engine:
            return await engine.execute(plan, resume=True, **options)

    return asyncio.run(main())


@pytest.fixture
def client():
    return obstore.store.MemoryStore()


def plan_of(tmp_path, target, kernel, shards=None):
    source = str(tmp_path / "x.zarr")
    if not (tmp_path / "x.zarr").exists():
        zarr.create_array(source, data=DATA, chunks=(2, 2))
    made = xp.map_blocks(kernel, xp.from_zarr(source), dtype="f8")
    return xp.store([made], [target])


def interrupted(tmp_path, client):
    """Return a plan of which a run has failed with its last chunk, and the array it has left."""
    marker = tmp_path / "goes-on"
    target = ObjectStore(client)
    plan = plan_of(tmp_path, target, fails_until(marker))
    with pytest.raises(ax.errors.ExecutionError):
        run(plan, retry=1)
    marker.touch()
    return plan, zarr.open_array(target, mode="r+")


def resumed_of(result):
    return sum(stage.resumed for stage in result.stages)


def test_what_the_plan_has_written_is_done(tmp_path, client):
    plan, array = interrupted(tmp_path, client)
    result = run(plan)
    assert np.array_equal(array[:], DATA + 1)
    assert resumed_of(result) == 5


@pytest.mark.parametrize("region", [np.s_[0:2, 0:2], np.s_[:, :]], ids=["one-chunk", "all"])
def test_values_of_others_are_not_taken_for_done(tmp_path, client, region):
    plan, array = interrupted(tmp_path, client)
    array[region] = -7.0
    result = run(plan)
    assert np.array_equal(array[:], DATA + 1)
    assert resumed_of(result) == (4 if region[0] == slice(0, 2) else 0)


def test_a_store_that_has_lost_all_attributes_is_taken_at_its_word(tmp_path, client):
    plan, array = interrupted(tmp_path, client)
    for meta in obstore.list(client).collect():
        data = bytes(obstore.get(client, meta["path"]).bytes())
        obstore.put(client, meta["path"], data)
    result = run(plan)
    assert np.array_equal(array[:], DATA + 1)
    assert resumed_of(result) == 5


@pytest.mark.parametrize("kind", ["obstore", "fsspec"])
def test_an_input_that_was_written_again_is_another_one(kind, client):
    store = (
        ObjectStore(client) if kind == "obstore" else FsspecStore.from_url("memory://written-again")
    )
    array = zarr.create_array(store, name="x", data=DATA, chunks=(2, 2), overwrite=True)
    place = locate(store, path="x")
    before = contents(place)
    assert before == contents(place)
    array[0, 0] = -1
    assert before
    assert contents(place) != before
