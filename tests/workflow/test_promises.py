"""Workflows keep what others have broken: nothing is lost, mixed up, run one by one, or left running."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

import asyncexec as ax
from asyncexec.errors import OptionError, ResourceError, TaskFailedError
from asyncexec.simulation import Cluster, simulate
from asyncexec.testing.patience import scaled
from asyncexec.workflow import StageSpec, Workflow, stage

IN_PROCESSES = ["threads", "processes"]


@pytest.mark.parametrize("executor", ["serial", *IN_PROCESSES])
async def test_a_value_error_is_that_value_error(executor: str):
    def fails() -> None:
        raise ValueError("of the user")

    def after(fails: None) -> None: ...

    async with ax.Engine(executor) as engine:
        with pytest.raises(TaskFailedError, match="ValueError: of the user") as caught:
            await engine.execute(Workflow("w", [fails, after])())
    assert caught.value.stage == "fails"
    assert "ValueError: of the user" in caught.value.remote_traceback
    cause = caught.value.__cause__
    assert cause is None or isinstance(cause, ValueError)
    assert isinstance(cause, ValueError) or executor == "processes"


@stage(map_on="files")
def append_for_ever(file: str) -> None:
    while True:
        with Path(file).open("a") as opened:
            opened.write("x")
        time.sleep(0.005)


async def test_cancelling_a_run_stops_what_its_tasks_do(tmp_path: Path):
    flow = Workflow("w", [append_for_ever])
    files = [tmp_path / "a", tmp_path / "b"]
    async with ax.Engine("processes", executor_options={"max_workers": 2}) as engine:
        execution = engine.start(flow(files=[str(file) for file in files]))
        async with asyncio.timeout(scaled(60)):
            while not all(file.exists() for file in files):
                await asyncio.sleep(0.01)
        execution.cancel()
        with pytest.raises(asyncio.CancelledError):
            await execution
        sizes = [file.stat().st_size for file in files]
        # Ten times as long as what they would need to write more.
        await asyncio.sleep(0.05)
        assert [file.stat().st_size for file in files] == sizes


def test_a_misspelt_option_is_refused():
    with pytest.raises(OptionError, match=r"'depend_on'.*did you mean 'depends_on'"):
        stage(depend_on=["a"])(lambda a: a)  # type: ignore[call-overload] # the mistake under test


def numbers(n: int) -> list[int]:
    return list(range(n))


@stage(map_on="numbers", resources={"gpus": 1, "memory": "1GB"})
def each(number: int) -> int:
    return number


def total(each: list[int]) -> int:
    return sum(each)


FLOW = Workflow("sums", [numbers, each, total])


def test_a_workflow_is_simulated_with_its_resources():
    durations = {"numbers": 1.0, "each": 10.0, "total": 2.0}
    plan = FLOW.to_plan(n=3)

    def makespan(**cluster: Any) -> float:
        made = Cluster(workers=20, **cluster)
        return simulate(plan, made, durations=durations, late_tasks={"each": 40}).makespan_seconds

    assert makespan(resources={"gpus": 20}) == 1.0 + 2 * 10.0 + 2.0
    assert makespan(resources={"gpus": 4}) == 1.0 + 10 * 10.0 + 2.0
    assert makespan(resources={"gpus": 20}, memory_bytes="8GB") == 1.0 + 5 * 10.0 + 2.0
    with pytest.raises(ResourceError, match=r"stage 'each'.*'gpus'.*known: cpus"):
        makespan()


def test_a_workflow_of_a_million_items_is_a_plan_at_once():
    flow = Workflow("large", [StageSpec.of(abs, name="each", map_on="items"), total])
    plan = flow.to_plan(items=range(1_000_000))
    assert plan.tasks == 1_000_001
    assert plan.fingerprint == flow.to_plan(items=range(1_000_000)).fingerprint
    assert plan.fingerprint != flow.to_plan(items=range(999_999)).fingerprint
