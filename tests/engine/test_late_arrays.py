"""Arrays whose extent is known only when a task has ended: made then, handed on, resumed chunk by chunk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import asyncexec as ax
from asyncexec.errors import TargetExistsError, TaskFailedError, UnfinishedArrayError
from asyncexec.plan import ChunkedOutput, Plan, Read, Stage
from asyncexec.plan.locality import Locality
from asyncexec.plan.relations import identity
from asyncexec.plan.stage import LateSize
from asyncexec.plan.workspace import Opening
from asyncexec.storage import (
    ArrayWorkspace,
    BlockIO,
    TaskInput,
    TaskOutput,
    open_array,
    planned_array,
)

pytestmark = pytest.mark.usefixtures("functions_by_value")

CHUNK = 2


class Whole:
    """Task i reads chunk i."""

    def __init__(self, extent: int) -> None:
        self.extent = extent

    def __call__(self, index: tuple[int, ...]) -> tuple[slice, ...]:
        start = index[0] * CHUNK
        return (slice(start, min(start + CHUNK, self.extent)),)


class Count:
    """The number of elements; looked up in a file, so that it can change."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, index: tuple[int, ...]) -> int:
        return int(self.path.read_text())


class Fill:
    """Chunk i holds i and i; fails where a file says so, and writes down what it did."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, index: tuple[int, ...]) -> np.ndarray:
        (i,) = index
        if (self.folder / "fails").exists() and i == 4:
            raise ValueError("no more")
        with (self.folder / "ran").open("a") as file:
            file.write(f"{i}\n")
        n = int((self.folder / "n").read_text())
        return np.full(min(CHUNK, n - i * CHUNK), float(i))


def double(index: tuple[int, ...], block: np.ndarray) -> np.ndarray:
    return block * 2


def extent_of(stage: Stage, values: Any, shapes: Any) -> Stage:
    """The resolve of both stages: `count` says how many elements there are."""
    n = values["count"]
    grid = (-(-n // CHUNK),)
    outputs = tuple(replace(output, shape=(n,)) for output in stage.outputs)
    inputs = tuple(Read(read.stage, identity(grid)) for read in stage.reads)
    return replace(stage, shape=grid, inputs=inputs, outputs=outputs, late=None)


def plan_in(folder: Path, n: int = 9, **options: Any) -> Plan:
    """`count` says how long run://middle is, which `fill` writes and `double` reads, to write the target."""
    (folder / "n").write_text(str(n))
    late = LateSize(waits_for=("count",), resolve=extent_of)

    def array(place: object, extent: int) -> Any:
        return planned_array(place, shape=(extent,), dtype="f8", chunks=(CHUNK,))

    def written(place: object, stage: Stage) -> tuple[TaskOutput, ...]:
        return (TaskOutput(array=array(place, stage.outputs[0].shape[0]), block=(CHUNK,)),)

    middle, target = "run://middle", folder / "target"

    def fill_blocks(stage: Stage, blocks: Any) -> BlockIO:
        return BlockIO(targets=written(middle, stage), label="fill")

    def double_blocks(stage: Stage, blocks: Any) -> BlockIO:
        extent = stage.outputs[0].shape[0]
        read = blocks["fill"].targets[0].ref
        return BlockIO(
            sources=(TaskInput(array=read, select=Whole(extent)),),
            targets=written(target, stage),
            label="double",
        )

    def output(place: object) -> tuple[ChunkedOutput, ...]:
        location = str(array(place, 0).location)
        return (
            ChunkedOutput(location=location, shape=(0,), block=(CHUNK,), unit=(CHUNK,), dtype="f8"),
        )

    stages = [
        Stage(name="count", kernel=Count(folder / "n"), shape=()),
        Stage(name="fill", kernel=Fill(folder), shape=(0,), outputs=output(middle), late=late),
        Stage(
            name="double",
            kernel=double,
            shape=(0,),
            inputs=(Read("fill", identity((0,))),),
            outputs=output(target),
            late=late,
        ),
    ]
    workspace = ArrayWorkspace(
        blocks={},
        late={"fill": fill_blocks, "double": double_blocks},
        results=(array(target, 0),),
        work_dir=folder / "work",
        **options,
    )
    return Plan(stages, returns=(), workspace=workspace)


def expected(n: int) -> np.ndarray:
    return np.arange(n) // CHUNK * 2.0


def ran(folder: Path) -> list[int]:
    path = folder / "ran"
    found = sorted(map(int, path.read_text().split())) if path.exists() else []
    path.unlink(missing_ok=True)
    return found


@pytest.mark.parametrize("executor", ["threads", "processes"])
@pytest.mark.parametrize("n", [9, 1, 0])
async def test_an_array_is_made_when_its_extent_is_known(
    tmp_path: Path, executor: str, n: int
) -> None:
    async with ax.Engine(executor=executor) as engine:
        result = await engine.execute(plan_in(tmp_path, n))
    np.testing.assert_array_equal(result.value, expected(n))
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "target")[:], expected(n))
    assert list((tmp_path / "work").iterdir()) == []


def test_what_is_kept_in_memory_is_let_go_when_it_is_read(tmp_path: Path) -> None:
    plan = plan_in(tmp_path)
    assert plan.workspace is not None
    opening = Opening(plan="p", fingerprint="", execution="r", locality=Locality.SAME_PROCESS)
    opened = plan.workspace.open(plan.stages, opening)
    fill = extent_of(plan.stage("fill"), {"count": 9}, {})
    opened.size(fill)
    assert opened.releases(fill)
    io: Any = opened.io(fill)
    io.save((0,), np.zeros(CHUNK))
    held = io.targets[0].array._held
    assert list(held) == [(0,)]
    opened.release("fill", [0])
    assert not held
    opened.close(succeeded=True)


def test_a_late_target_says_that_it_is_unfinished_until_it_is_complete(tmp_path: Path) -> None:
    plan = plan_in(tmp_path)
    assert plan.workspace is not None
    opening = Opening(plan="p", fingerprint="", execution="r", locality=Locality.SAME_PROCESS)
    opened = plan.workspace.open(plan.stages, opening)
    for name in ("fill", "double"):
        opened.size(extent_of(plan.stage(name), {"count": 9}, {}))
    with pytest.raises(UnfinishedArrayError):
        open_array(tmp_path / "target")
    opened.close(succeeded=True)
    assert open_array(tmp_path / "target").shape == (9,)


async def test_a_run_that_failed_removes_its_late_targets(tmp_path: Path) -> None:
    (tmp_path / "fails").touch()
    async with ax.Engine() as engine:
        with pytest.raises(TaskFailedError, match="no more"):
            await engine.execute(plan_in(tmp_path))
    assert not (tmp_path / "target").exists()


async def test_a_late_target_that_is_there_is_not_replaced_unless_told(tmp_path: Path) -> None:
    zarr.save_array(tmp_path / "target", np.zeros(3))
    async with ax.Engine() as engine:
        with pytest.raises(TargetExistsError):
            await engine.execute(plan_in(tmp_path))
        np.testing.assert_array_equal(zarr.open_array(tmp_path / "target")[:], np.zeros(3))
        result = await engine.execute(plan_in(tmp_path, overwrite=True))
    np.testing.assert_array_equal(result.value, expected(9))


@pytest.mark.parametrize("executor", ["threads", "processes"])
async def test_a_run_goes_on_chunk_by_chunk_where_an_earlier_one_failed(
    tmp_path: Path, executor: str
) -> None:
    (tmp_path / "fails").touch()
    # One worker, and the last chunk fails: nothing runs on that could be stopped before it saves.
    async with ax.Engine(executor=executor, executor_options={"max_workers": 1}) as engine:
        with pytest.raises(TaskFailedError):
            await engine.execute(plan_in(tmp_path), resume=True)
        before = ran(tmp_path)
        (tmp_path / "fails").unlink()
        result = await engine.execute(plan_in(tmp_path), resume=True)
    np.testing.assert_array_equal(result.value, expected(9))
    assert (before, ran(tmp_path)) == ([0, 1, 2, 3], [4])
    assert result.stages[1].resumed == 4
    assert result.stages[0].resumed == 0


async def test_an_array_of_another_extent_does_not_count_as_an_earlier_runs(
    tmp_path: Path,
) -> None:
    (tmp_path / "fails").touch()
    async with ax.Engine() as engine:
        with pytest.raises(TaskFailedError):
            await engine.execute(plan_in(tmp_path), resume=True)
        ran(tmp_path)
        (tmp_path / "fails").unlink()
        result = await engine.execute(plan_in(tmp_path, 12), resume=True)
    np.testing.assert_array_equal(result.value, expected(12))
    assert ran(tmp_path) == [0, 1, 2, 3, 4, 5]
