"""What users write has the types they expect; mypy and pyright read this file, nothing runs it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, assert_type

import numpy as np

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.backends.contract import Backend
from asyncexec.backends.dask import DaskBackend
from asyncexec.backends.http import HttpBackend
from asyncexec.backends.threads import ThreadsBackend
from asyncexec.engine import Execution, Progress, Result, StageResult
from asyncexec.events.observer import Observer
from asyncexec.events.records import AnyEvent
from asyncexec.plan import Plan, Plannable
from asyncexec.straggler.two_phase import TwoPhase
from asyncexec.workflow import StageSpec, Workflow, WorkflowCall, stage


def score(item: int) -> float:
    return item / 2


class Watcher:
    def observe(self, events: Sequence[AnyEvent]) -> None:
        assert events


async def running_a_function() -> None:
    plan = ax.Plan.map(score, range(10), retry=3, timeout=1.0, resources={"gpus": 1}, memory="1GB")
    assert_type(plan, Plan)
    assert_type(plan.fingerprint, str)
    assert_type(plan.tasks, int)
    async with ax.Engine("threads", executor_options={"max_workers": 2}, memory="2GB") as engine:
        result = await engine.execute(
            plan,
            retry=ax.Retry(attempts=6),
            timeout=ax.Timeout(task=30.0, plan=600),
            straggler="two_phase",
            barriers=False,
            observers=[Watcher(), print, ax.Summary()],
            resume=True,
        )
        assert_type(result, Result)
        assert_type(result.value, Any)
        assert_type(result.stages, tuple[StageResult, ...])
        assert_type(result.wall_seconds, float)
        execution = engine.start(plan, straggler=TwoPhase(floor_seconds=2.0), retry=False)
        assert_type(execution, Execution)
        assert_type(execution.progress, Progress)
        assert_type(await execution, Result)
        assert_type(engine.stream(plan), AsyncIterator[AnyEvent])
        engine.start(plan, retrys=2)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue] # refused


@stage
def cities(country: str) -> list[str]:
    return [country]


@stage(
    map_on="cities", retry=3, resources={"memory": "2GB", "cpus": 1}, when=lambda city: city != ""
)
async def fetch(city: str, *, days: int = 1) -> int:
    return len(city) * days


async def running_a_workflow() -> None:
    assert_type(cities("NL"), list[str])
    assert_type(await fetch("Delft", days=2), int)
    flow = Workflow("nowcast", [cities, fetch, StageSpec.of(len, name="sizes", map_on=cities)])
    assert_type(flow, Workflow)
    assert_type(flow(country="NL"), WorkflowCall)
    assert_type(flow.to_plan(country="NL"), Plan)
    async with ax.Engine() as engine:
        assert_type(await engine.execute(flow(country="NL")), Result)
    stage(depend_on=["a"])(score)  # type: ignore[call-overload] # pyright: ignore[reportCallIssue] # refused


async def running_an_array() -> None:
    spec = ax.Spec(work_dir="work", allowed_mem="2GB", reserved_mem=100_000_000)
    u = xp.asarray(np.ones((4, 4)), chunks=(2, 2), spec=spec)
    y = xp.mean(u * 2 + 1, axis=0)
    assert_type(y, xp.Array)
    assert_type(y.shape, tuple[int, ...])
    plannable: Plannable = y
    async with ax.Engine("processes") as engine:
        await engine.execute(plannable)
        await engine.execute(xp.store([y], ["y.zarr"], overwrite=True))


def choosing_a_backend() -> None:
    backend: Backend = ThreadsBackend(max_workers=2)
    ax.Engine(backend)
    ax.Engine(ThreadsBackend)
    ax.Engine("package.module:Class")
    assert_type(HttpBackend(url="https://example.org", memory="2GB", timeout=3), HttpBackend)
    assert_type(DaskBackend(adaptive=(1, 4), cpus=2.5, env_vars={"A": "1"}), DaskBackend)
    # A name or a type that is wrong is seen in an editor.
    ThreadsBackend(max_worker=2)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue] # refused
    ThreadsBackend(max_workers="2")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] # refused
    HttpBackend(memory="2GB")  # type: ignore[call-arg] # pyright: ignore[reportCallIssue] # refused
    observer: Observer = Watcher()
    ax.Engine(observers=[observer])


def blocking() -> None:
    assert_type(ax.sync.execute(ax.Plan.map(score, [1]), executor="serial"), Result)
