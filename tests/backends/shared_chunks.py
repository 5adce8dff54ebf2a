"""The hand-over of intermediate chunks in memory, on any executor whose workers are on this machine."""

import numpy as np

import asyncexec as ax
from tests.engine import shared_kernels as kernels
from tests.engine.test_shared_intermediates import is_empty, job


async def hands_chunks_over_in_memory(folder, executor, **options):
    """Check that tasks find chunks of others in memory, that the result is right, and that nothing is left."""
    memory = folder / "memory"
    memory.mkdir()
    async with ax.Engine(executor, executor_options=options) as engine:
        counted = await engine.execute(job(memory, kernels.counting), barriers=True)
        assert counted.value.min() >= 1, "the block that is read is in memory"
        assert is_empty(memory)
        added = await engine.execute(job(memory, kernels.adding))
        assert np.array_equal(added.value, kernels.DATA + 2)
        assert is_empty(memory)
    assert is_empty(memory)
