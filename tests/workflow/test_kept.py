"""Workflows are resumed, stages of the same code and inputs are not run again, and limits and concurrency hold."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import asyncexec as ax
from asyncexec.errors import TaskFailedError, WorkflowInputError
from asyncexec.testing.model_backend import ModelBackend
from asyncexec.testing.patience import scaled
from asyncexec.testing.virtual_time import run
from asyncexec.workflow import StageSpec, Workflow, stage


def note(folder: str, name: object) -> None:
    """Leave a trace of a call, in any process."""
    with Path(folder, "calls").open("a") as calls:
        calls.write(f"{name}\n")


def taken(folder: Path) -> list[str]:
    """Return the traces, and forget them."""
    path = folder / "calls"
    found = sorted(path.read_text().split()) if path.exists() else []
    path.unlink(missing_ok=True)
    return found


def items(folder: str, n: int) -> list[int]:
    note(folder, "items")
    return list(range(n))


@stage(map_on="items", retry=False)
def doubled(item: int, folder: str) -> int:
    if item == 2 and Path(folder, "broken").exists():
        raise ValueError("broken")
    note(folder, f"doubled-{item}")
    return 2 * item


@stage(when=lambda doubled: len(doubled) > 3)
def total(doubled: list[int], folder: str) -> int:
    note(folder, "total")
    return sum(doubled)


@pytest.mark.parametrize("executor", ["serial", "processes"])
async def test_a_run_that_failed_is_resumed_item_by_item(executor: str, tmp_path: Path):
    folder, kept = tmp_path / "traces", tmp_path / "work"
    folder.mkdir()
    (folder / "broken").touch()
    flow = Workflow("resumed", [items, doubled, total])
    options = {"max_workers": 1} if executor == "processes" else {}
    async with ax.Engine(executor, executor_options=options, work_dir=kept) as engine:
        with pytest.raises(TaskFailedError, match="broken"):
            await engine.execute(flow(folder=str(folder), n=4), resume=True)
        first = taken(folder)
        assert {"items", "doubled-0"} <= {*first}
        (folder / "broken").unlink()
        result = await engine.execute(flow(folder=str(folder), n=4), resume=True)
        second = taken(folder)
        other = await engine.execute(flow(folder=str(folder), n=2), resume=True)
    assert result.value == 12
    # What was running when the run failed may have run twice, and what was complete has not.
    assert {*first, *second} == {"items", *(f"doubled-{i}" for i in range(4)), "total"}
    assert {"items", "doubled-0"}.isdisjoint(second)
    assert isinstance(other.value, ax.Skipped)


async def test_a_stage_of_the_same_code_and_inputs_is_not_run_again(tmp_path: Path):
    folder = tmp_path / "traces"
    folder.mkdir()
    cached = StageSpec.of(doubled, map_on="items", cache="inputs")
    async with ax.Engine("threads", work_dir=tmp_path / "work") as engine:
        await engine.execute(Workflow("one", [items, cached])(folder=str(folder), n=2))
        assert taken(folder) == ["doubled-0", "doubled-1", "items"]
        # Another workflow and another number of items: what is known is known.
        result = await engine.execute(Workflow("two", [items, cached])(folder=str(folder), n=3))
    assert taken(folder) == ["doubled-2", "items"]
    assert result.value == [0, 2, 4]


def test_limits_of_a_stage_hold():
    each = StageSpec.of(abs, name="each", map_on="items", max_at_once=2)
    slow = StageSpec.of(abs, name="slow", map_on="items", max_per_second=2)

    async def seconds(flow: Any) -> float:
        async with ax.Engine(ModelBackend(1.0, slots=8, computes=False)) as engine:
            loop = asyncio.get_running_loop()
            begun = loop.time()
            await engine.execute(flow)
            return loop.time() - begun

    assert run(seconds(Workflow("w", [each])(items=range(8)))) == pytest.approx(4.0, abs=0.01)
    assert run(seconds(Workflow("w", [slow])(items=range(8)))) >= 3.5


async def test_coroutine_functions_await_side_by_side_in_one_slot():
    arrived = 0
    everybody = asyncio.Event()

    @stage(map_on="items")
    async def meets(item: int, number: int) -> int:
        nonlocal arrived
        arrived += 1
        if arrived == number:
            everybody.set()
        await everybody.wait()
        return item

    async with ax.Engine("asyncio") as engine:
        async with asyncio.timeout(scaled(60)):
            result = await engine.execute(Workflow("w", [meets])(items=range(50), number=50))
    assert result.value == list(range(50))


async def test_a_workflow_without_inputs_is_something_to_execute():
    flow = Workflow("w", [StageSpec.of(lambda n=3: n, name="number")])
    async with ax.Engine("serial") as engine:
        assert (await engine.execute(flow)).value == 3


async def test_the_items_of_a_generator_are_read_as_there_is_room():
    read = 0

    async def endless() -> Any:
        nonlocal read
        while True:
            read += 1
            yield read

    flow = Workflow(
        "w",
        [
            StageSpec.of(lambda item, by: item * by, name="product", map_on="items"),
            StageSpec.of(float, name="last", map_on="product"),
        ],
        keeps=False,
    )
    found: list[float] = []
    async with ax.Engine("threads", executor_options={"max_workers": 2}) as engine:
        finite = await engine.execute(flow(items=(i for i in range(5)), by=3))
        async for value in engine.results(flow(items=endless(), by=2)):
            found.append(value)
            if len(found) == 100:
                break
    assert finite.value == [0.0, 3.0, 6.0, 9.0, 12.0]
    assert found == [2.0 * i for i in range(1, 101)]
    assert read < 100_000


def test_a_stage_that_takes_other_results_needs_its_items_at_once():
    flow = Workflow("w", [items, StageSpec.of(lambda x, items: x, name="each", map_on="given")])
    with pytest.raises(WorkflowInputError, match=r"stage 'each'.*'given'.*items.*give a list"):
        flow.to_plan(folder="", n=1, given=iter([1]))
