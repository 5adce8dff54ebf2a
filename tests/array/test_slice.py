"""From arrays to a stored result, through every layer."""

import numpy as np
import pytest
import zarr

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.errors import MemoryBudgetError, RunningLoopError, TargetExistsError
from tests.array.direct import run


def test_a_chain_of_elementwise_operations_and_a_sum_is_two_stages(rng):
    data = rng.random((60, 40))
    x = xp.from_array(data, chunks=(10, 20))
    y = xp.sum((x + 1) * x, axis=0)
    plan = y.to_plan()
    assert [(s.operation, s.shape) for s in plan.stages] == [
        ("add+multiply+sum", (6, 2)),
        ("sum+squeeze", (2,)),
    ]
    np.testing.assert_allclose(run(y), ((data + 1) * data).sum(axis=0))


@pytest.mark.parametrize("executor", ["serial", "threads", "processes"])
async def test_every_executor_computes_the_same(executor, rng):
    data = rng.random((30, 20))
    x = xp.from_array(data, chunks=(7, 9))
    async with ax.Engine(executor=executor) as engine:
        result = await engine.execute(xp.mean(x * x, axis=0))
    np.testing.assert_allclose(result.value, (data * data).mean(axis=0))


async def test_several_arrays_are_stored_by_one_plan_that_shares_what_they_share(tmp_path, rng):
    data = rng.random((12, 10))
    x = xp.from_array(data, chunks=5)
    shared = xp.sin(x) + 1
    store = xp.store([shared * 2, shared - 1], [tmp_path / "a.zarr", tmp_path / "b.zarr"])
    assert len(store.to_plan().stages) == 1
    async with ax.Engine(executor="threads") as engine:
        await engine.execute(store)
        with pytest.raises(TargetExistsError, match="overwrite=True"):
            await engine.execute(store)
    np.testing.assert_allclose(zarr.open_array(tmp_path / "a.zarr")[:], (np.sin(data) + 1) * 2)
    np.testing.assert_allclose(zarr.open_array(tmp_path / "b.zarr")[:], np.sin(data))
    assert zarr.open_array(tmp_path / "a.zarr").chunks == (5, 5)


def test_computing_without_a_loop_and_reading_back(tmp_path, rng):
    data = rng.random((8, 6)).astype(np.float32)
    spec = ax.Spec(work_dir=tmp_path / "work", executor="serial")
    xp.to_zarr(xp.from_array(data, chunks=3, spec=spec) + 1, tmp_path / "a.zarr")
    back = xp.from_zarr(tmp_path / "a.zarr", spec=spec)
    assert (back.shape, back.chunks, back.dtype) == ((8, 6), (3, 3), np.float32)
    np.testing.assert_array_equal(back.compute(), data + 1)
    one, other = xp.compute(back, xp.sum(back))
    np.testing.assert_array_equal(one, data + 1)
    assert other == pytest.approx((data + 1).sum())
    assert not list((tmp_path / "work").iterdir())


async def test_blocking_computation_inside_a_loop_says_what_to_write():
    with pytest.raises(RunningLoopError, match=r"await ax\.compute"):
        xp.ones(3).compute()


def test_too_little_memory_is_told_before_anything_runs():
    spec = ax.Spec(allowed_mem="150MB", reserved_mem="100MB")
    x = xp.ones((10_000, 10_000), chunks=(5_000, 5_000), spec=spec)
    with pytest.raises(MemoryBudgetError, match=r"add.*make chunks of at most"):
        (x + 1).to_plan()


def test_planning_does_not_depend_on_the_number_of_chunks():
    x = xp.ones((10**9, 10**3), chunks=(10, 10))
    plan = xp.sum(x[1:] - x[:-1], axis=1).to_plan()
    assert plan.stages[0].tasks == 2 * 10**8
