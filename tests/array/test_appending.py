"""Arrays that become longer: at once when everything is written, and not at all when a run fails."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import xarray
import zarr
from hypothesis import given, settings, strategies as st

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.errors import (
    ArrayNotFoundError,
    ArrayReplacedError,
    OptionError,
    TargetReplacedError,
    WriteConflictError,
)
from asyncexec.storage.chunks.access import forget_opened
from tests.array.direct import run
from tests.array.strategies import values
from tests.profiles import examples
from tests.storage.fake_s3 import serving


def existing(place, data, chunks, **options):
    array = zarr.create_array(place, shape=data.shape, dtype=data.dtype, chunks=chunks, **options)
    array[...] = data
    return array


@given(
    st.lists(st.integers(0, 7), min_size=1, max_size=3),
    st.data(),
    st.sampled_from([2, 3]),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=examples(25))
def test_what_is_appended_is_behind_what_was_there(shape, data, zarr_format, seed):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    chunks = tuple(data.draw(st.integers(1, 4)) for _ in shape)
    sharded = zarr_format == 3 and data.draw(st.booleans())
    before = values(shape, np.float64, seed)
    after = list(shape)
    after[axis] = data.draw(st.integers(0, 7))
    more = values(after, np.float64, seed + 1)
    store = zarr.storage.MemoryStore()
    existing(
        store,
        before,
        chunks,
        shards=tuple(2 * c for c in chunks) if sharded else None,
        zarr_format=zarr_format,
    )
    x = xp.asarray(more, chunks=tuple(data.draw(st.integers(1, max(n, 1))) for n in after))
    run(xp.store([-x], [store], append_dim=axis, align="read-write"))
    found = zarr.open_array(store, mode="r")[...]
    np.testing.assert_array_equal(found, np.concatenate([before, -more], axis=axis))


@pytest.mark.parametrize(
    "executor, shards", [("threads", None), ("threads", (4, 4)), ("processes", (4, 4))]
)
def test_appending_again_and_again_on_a_disk(tmp_path, executor, shards):
    existing(tmp_path / "a", np.zeros((4, 4)), (2, 2), shards=shards, dimension_names=("t", "x"))
    expected = np.zeros((4, 4))
    for number in range(1, 3):
        more = np.full((3, 4), number, "f4")
        target = xp.store(
            [xp.asarray(more, chunks=(2, 3))], [tmp_path / "a"], append_dim="t", align="read-write"
        )
        target.compute(executor=executor)
        expected = np.concatenate([expected, more])
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "a")[:], expected)
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["c", "zarr.json"]


def test_appending_in_a_bucket():
    with serving() as (bucket, options):
        options |= {
            "access_key_id": "a",
            "secret_access_key": "b",
            "region": "us-east-1",
            "client_options": {"allow_http": True},
        }
        place = "s3://bucket/a.zarr"
        xp.to_zarr(xp.zeros(5, chunks=2), place, storage_options=options)
        xp.to_zarr(
            xp.ones(4, chunks=3), place, append_dim=0, align="read-write", storage_options=options
        )
        found = xp.from_zarr(place, storage_options=options).compute()
        assert found.tolist() == [0] * 5 + [1] * 4
        before = dict(bucket.objects)
        y = xp.map_blocks(failing_at_the_end, xp.ones(6, chunks=2), dtype=float)
        with pytest.raises(RuntimeError):
            xp.to_zarr(
                y,
                place,
                append_dim=0,
                align="read-write",
                storage_options=options,
                executor="serial",
            )
        assert {k: v for k, v in bucket.objects.items() if not k.endswith("c/4")} == {
            k: v for k, v in before.items() if not k.endswith("c/4")
        }
        assert xp.from_zarr(place, storage_options=options).compute().tolist() == [0] * 5 + [1] * 4
    forget_opened()


def failing_at_the_end(block, block_id):
    if block_id == (2,):
        raise RuntimeError("no")
    return block


def test_a_failed_run_leaves_the_array_as_it_was(tmp_path):
    existing(tmp_path / "a", np.zeros(4), (2,))
    before = {p: p.read_bytes() for p in (tmp_path / "a").rglob("*") if p.is_file()}
    y = xp.map_blocks(failing_at_the_end, xp.ones(6, chunks=2), dtype=float)
    with pytest.raises(RuntimeError, match="no"):
        run(xp.store([y], [tmp_path / "a"], append_dim=0))
    assert {p: p.read_bytes() for p in (tmp_path / "a").rglob("*") if p.is_file()} == before


def test_readers_see_nothing_of_it_before_it_is_complete(tmp_path):
    existing(tmp_path / "a", np.zeros(4), (2,))
    seen = []

    def look(block):
        seen.append(zarr.open_array(tmp_path / "a", mode="r").shape)
        return block

    run(
        xp.store(
            [xp.map_blocks(look, xp.ones(4, chunks=2), dtype=float)], [tmp_path / "a"], append_dim=0
        )
    )
    assert seen == [(4,), (4,)]
    assert zarr.open_array(tmp_path / "a").shape == (8,)


@pytest.mark.filterwarnings("ignore:Consolidated metadata")
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_consolidated_metadata_and_xarray_have_the_new_length(tmp_path, zarr_format):
    first = xarray.Dataset({"t": (("time", "x"), np.zeros((4, 3)))}, attrs={"a": 1})
    first.to_zarr(
        tmp_path / "g",
        zarr_format=zarr_format,
        consolidated=True,
        encoding={"t": {"chunks": (2, 3)}},
    )
    more = np.arange(6.0).reshape(2, 3)
    xp.to_zarr(xp.asarray(more), tmp_path / "g", path="t", append_dim="time")
    found = xarray.open_zarr(tmp_path / "g", consolidated=True, chunks=None)
    np.testing.assert_array_equal(found["t"].values, np.concatenate([np.zeros((4, 3)), more]))


def test_what_does_not_fit_is_refused(tmp_path):
    existing(tmp_path / "a", np.zeros((5, 4)), (2, 2), dimension_names=("t", "x"))
    with pytest.raises(
        WriteConflictError, match=r"ends at 5 along axis 0.*room for 1 more.*read-write"
    ):
        xp.store([xp.ones((2, 4))], [tmp_path / "a"], append_dim="t")
    with pytest.raises(
        OptionError, match=r"shape \(2, 3\) does not fit append_dim=0.*takes shape \(2, 4\)"
    ):
        xp.store([xp.ones((2, 3))], [tmp_path / "a"], append_dim=0)
    with pytest.raises(OptionError, match="does not fit"):
        xp.store([xp.ones(2)], [tmp_path / "a"], append_dim=0)
    with pytest.raises(OptionError, match="no axis 'y': its axes are called t, x"):
        xp.store([xp.ones((2, 4))], [tmp_path / "a"], append_dim="y")
    with pytest.raises(OptionError, match=r"append_dim=2: .* has 2 axes"):
        xp.store([xp.ones((2, 4))], [tmp_path / "a"], append_dim=2)
    with pytest.raises(ArrayNotFoundError):
        xp.store([xp.ones((2, 4))], [tmp_path / "b"], append_dim=0)
    assert zarr.open_array(tmp_path / "a").shape == (5, 4)


def test_of_two_appends_that_were_built_on_one_array_one_is_refused(tmp_path):
    existing(tmp_path / "a", np.zeros(4), (2,))
    first, second = (xp.store([xp.full(2, n)], [tmp_path / "a"], append_dim=0) for n in (1, 2))
    run(first)
    with pytest.raises(ArrayReplacedError, match="other shape"):
        run(second)
    assert zarr.open_array(tmp_path / "a")[:].tolist() == [0, 0, 0, 0, 1, 1]


def test_an_array_that_others_made_longer_meanwhile_is_theirs(tmp_path):
    existing(tmp_path / "a", np.zeros(4), (2,))

    def meanwhile(block):
        zarr.open_array(tmp_path / "a").append(np.full(2, 5.0))
        return block

    with pytest.raises(TargetReplacedError):
        run(
            xp.store(
                [xp.map_blocks(meanwhile, xp.ones(2), dtype=float)], [tmp_path / "a"], append_dim=0
            )
        )
    assert zarr.open_array(tmp_path / "a").shape == (6,)


def test_new_arrays_and_appended_ones_by_one_plan_are_complete_together(tmp_path):
    existing(tmp_path / "a", np.zeros(4), (2,))
    x = xp.ones(4, chunks=2)
    xp.store([x, x + 1], [tmp_path / "a", tmp_path / "b"], append_dim=[0, None]).compute()
    assert zarr.open_array(tmp_path / "a")[:].tolist() == [0] * 4 + [1] * 4
    assert zarr.open_array(tmp_path / "b")[:].tolist() == [2] * 4
    again = xp.store([x, x + 1], [tmp_path / "a", tmp_path / "c"], append_dim=[0, None])
    zarr.open_array(tmp_path / "a").attrs["n"] = 1
    run(again)
    assert zarr.open_array(tmp_path / "a").attrs["n"] == 1
    failing = xp.map_blocks(failing_at_the_end, xp.ones(6, chunks=2), dtype=float)
    with pytest.raises(RuntimeError):
        run(xp.store([x, failing], [tmp_path / "a", tmp_path / "d"], append_dim=[0, None]))
    assert zarr.open_array(tmp_path / "a").shape == (12,)
    assert not (tmp_path / "d").exists()


PROGRAM = textwrap.dedent("""
    import os, signal, sys
    import numpy as np
    import asyncexec as ax
    import asyncexec.array as xp

    place, work, killed = sys.argv[1:]

    def kernel(block, block_id):
        if killed == "killed" and block_id == (3,):
            os.kill(os.getpid(), signal.SIGKILL)
        return block + 1

    spec = ax.Spec(work_dir=work)
    x = xp.asarray(np.arange(12.0), chunks=2, spec=spec)
    y = xp.map_blocks(kernel, x, dtype=float)
    ax.sync.execute(
        xp.store([y], [place], append_dim=0, align="read-write"), executor="serial", resume=True
    )
""")


@pytest.mark.slow
def test_a_killed_append_is_gone_on_with(tmp_path):
    existing(tmp_path / "a", np.zeros(5), (2,))

    def execute(how):
        arguments = [tmp_path / "a", tmp_path / "work", how]
        return subprocess.run(
            [sys.executable, "-c", PROGRAM, *map(os.fspath, arguments)], check=False
        )

    assert execute("killed").returncode == -9
    assert zarr.open_array(tmp_path / "a")[:].tolist() == [0] * 5
    assert execute("whole").returncode == 0
    assert zarr.open_array(tmp_path / "a")[:].tolist() == [0] * 5 + list(range(1, 13))


async def test_a_failed_append_is_resumed(tmp_path):
    spec = ax.Spec(work_dir=tmp_path / "work")
    existing(tmp_path / "a", np.zeros(4), (2,))
    switch = tmp_path / "switch"

    def kernel(block, block_id):
        if block_id == (2,) and not switch.exists():
            raise RuntimeError("no")
        return block

    def appending():
        y = xp.map_blocks(kernel, xp.ones(6, chunks=2, spec=spec), dtype=float)
        return xp.store([y], [tmp_path / "a"], append_dim=0)

    async with ax.Engine("threads") as engine:
        with pytest.raises(RuntimeError):
            await engine.execute(appending(), resume=True, retry=1)
        assert zarr.open_array(tmp_path / "a").shape == (4,)
        switch.touch()
        await engine.execute(appending(), resume=True)
    assert zarr.open_array(tmp_path / "a")[:].tolist() == [0] * 4 + [1] * 6
