"""One run of the scheduler on an instant backend: `python -m benchmarks.instant_run SHAPE TASKS WATCHED`."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import asyncexec as ax
from asyncexec.plan.relations import block_reduce, identity
from asyncexec.plan.stage import Read, Stage
from benchmarks.case import Figures
from tests.instant_backend import InstantBackend

STAGES = 4


def kernel(*_: object) -> None:
    return None


def plan_of(shape: str, tasks: int) -> ax.Plan:
    """A plan of about so many tasks: one map, a chain of maps, or a tree that reduces by fours."""
    if shape == "map":
        stages = [Stage(name="map", kernel=kernel, shape=(tasks,))]
    elif shape == "tree":
        stages = tree(tasks * 3 // 4)
    else:
        stages = chain(tasks // STAGES)
    return ax.Plan(tuple(stages), returns=())


def chain(width: int) -> list[Stage]:
    stages = [Stage(name="stage-0", kernel=kernel, shape=(width,))]
    for i in range(1, STAGES):
        read = Read(f"stage-{i - 1}", identity((width,)))
        stages.append(Stage(name=f"stage-{i}", kernel=kernel, shape=(width,), inputs=(read,)))
    return stages


def tree(width: int) -> list[Stage]:
    stages = [Stage(name="level-0", kernel=kernel, shape=(width,))]
    while width > 1:
        relation = block_reduce((width,), {0: 4})
        width = relation.consumer[0]
        read = Read(stages[-1].name, relation, many=True)
        name = f"level-{len(stages)}"
        stages.append(Stage(name=name, kernel=kernel, shape=(width,), inputs=(read,)))
    return stages


class Counter:
    def __init__(self) -> None:
        self.events = 0

    def observe(self, events: Sequence[object]) -> None:
        self.events += len(events)


async def once(shape: str, tasks: int, *, watched: bool) -> Figures:
    plan = plan_of(shape, tasks)
    observers = [Counter()] if watched else []
    async with ax.Engine(executor=InstantBackend(slots=4)) as engine:
        await engine.execute(plan_of(shape, 1_000), observers=observers)
        before = memory_mb("VmRSS")
        rounds = max(1, 20_000 // tasks)  # a short run is repeated, or the clock says little
        start = time.perf_counter()
        for _ in range(rounds):
            result = await engine.execute(plan, observers=observers)
        seconds = (time.perf_counter() - start) / rounds
    assert result.tasks == plan.tasks
    return {
        "tasks_per_s": plan.tasks / seconds,
        "us_per_task": seconds / plan.tasks * 1e6,
        "grown_mb": max(0.0, memory_mb("VmHWM") - before),
    }


def memory_mb(field: str) -> float:
    """The process's memory in MB: VmRSS is now, VmHWM the most ever."""
    text = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(rf"^{field}:\s+(\d+) kB$", text, re.MULTILINE)
    assert found, field
    return int(found[1]) * 1024 / 1e6


if __name__ == "__main__":
    shape, tasks, watched = sys.argv[1:]
    print(json.dumps(asyncio.run(once(shape, int(tasks), watched=watched == "1"))))
