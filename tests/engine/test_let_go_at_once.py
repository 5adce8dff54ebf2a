"""Inputs of tasks are let go as a run ends, without a collection of garbage, whatever kind of function it calls."""

import asyncio
import gc
import weakref

import pytest

import asyncexec as ax
from tests.engine.test_nothing_kept import Value

pytestmark = pytest.mark.usefixtures("functions_by_value")


def plain(value):
    return None


async def awaited(value):
    await asyncio.sleep(0)


@pytest.mark.parametrize("function", [plain, awaited])
@pytest.mark.parametrize("executor", ["threads", "processes"])
async def test_inputs_are_gone_at_once(executor, function):
    async with ax.Engine(executor, executor_options={"max_workers": 1}) as engine:
        await engine.execute(ax.Plan.map(function, [1]))
        gc.collect()
        gc.disable()
        try:
            items = [Value(), Value()]
            kept = [weakref.ref(item) for item in items]
            await engine.execute(ax.Plan.map(function, items))
            del items
            for _ in range(100):  # Idle threads let go of what they ran last a moment later.
                if not any(ref() for ref in kept):
                    break
                await asyncio.sleep(0.01)
            assert not any(ref() for ref in kept)
        finally:
            gc.enable()
