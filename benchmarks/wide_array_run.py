"""One array of very many chunks with instant storage: `python -m benchmarks.wide_array_run JOB CHUNKS`."""

from __future__ import annotations

import asyncio
import json
import sys
import time

import zarr

import asyncexec as ax
import asyncexec.array as xp
from benchmarks.case import Figures
from benchmarks.instant_run import memory_mb
from tests.instant_backend import InstantBackend

JOBS = ("elementwise", "reduction", "unfused")


def job(name: str, chunks: int) -> ax.Plan:
    """Return the plan of a job: elementwise, a tree of sums, or both as stages of their own."""
    spec = ax.Spec(optimize=False) if name == "unfused" else None
    made = xp.ones((chunks,), chunks=(1,), spec=spec) * 2.0
    wanted = made + 1.0 if name == "elementwise" else xp.sum(made)
    return xp.store([wanted], [zarr.storage.MemoryStore()]).to_plan()


async def once(name: str, chunks: int) -> Figures:
    async with ax.Engine(executor=InstantBackend(slots=4)) as engine:
        await engine.execute(job(name, 100))
        start = time.process_time()
        plan = job(name, chunks)
        planned = time.process_time()
        before = memory_mb("VmRSS")
        result = await engine.execute(plan)
        ran = time.process_time()
    assert result.tasks == plan.tasks
    return {
        "plan_s": planned - start,
        "tasks": float(plan.tasks),
        "cpu_us_per_chunk": (ran - planned) / chunks * 1e6,
        "tasks_per_s": plan.tasks / (ran - planned),
        "grown_mb": max(0.0, memory_mb("VmHWM") - before),
    }


if __name__ == "__main__":
    given, count = sys.argv[1:]
    print(json.dumps(asyncio.run(once(given, int(count)))))
