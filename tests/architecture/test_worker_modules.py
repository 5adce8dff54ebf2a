"""A worker process loads what its tasks need, and nothing else: every module costs each worker time and memory."""

import json

from tests.fresh_interpreter import printed_by

WORKER = """
asyncexec
asyncexec.backends
asyncexec.backends.processes
asyncexec.backends.processes.worker_side
asyncexec.backends.processes.frames
asyncexec.backends.processes.inputs
asyncexec.backends.processes.outcome_writer
asyncexec.backends.processes.page
asyncexec.errors
asyncexec.errors.base
asyncexec.errors.configuration
asyncexec.errors.engine
asyncexec.errors.execution
asyncexec.errors.plan
asyncexec.errors.storage
asyncexec.errors.tasks
asyncexec.events
asyncexec.events.outcome
asyncexec.lazy
asyncexec.masking
asyncexec.plan
asyncexec.plan.box
asyncexec.worker
asyncexec.worker.attempt
asyncexec.worker.driver_settings
asyncexec.worker.forks
asyncexec.worker.forwarding
asyncexec.worker.memory
asyncexec.worker.pickling
asyncexec.worker.process_changes
asyncexec.worker.programs
asyncexec.worker.records
asyncexec.worker.run_scope
asyncexec.worker.runner
asyncexec.worker.task_context
"""
FUNCTIONS = """
asyncexec.plan.function_call
asyncexec.worker.value_files
asyncexec.worker.value_layout
asyncexec.worker.values
"""
WORKFLOWS = """
asyncexec.workflow
asyncexec.workflow.bound_call
"""
ARRAYS = """
asyncexec.array
asyncexec.array.kernels
asyncexec.array.reducers
asyncexec.array.slab_lengths
asyncexec.plan.access
asyncexec.plan.access_map
asyncexec.plan.lengths
asyncexec.plan.masked
asyncexec.plan.overlap
asyncexec.storage
asyncexec.storage.chunks
asyncexec.storage.places
asyncexec.storage.chunks.access
asyncexec.storage.chunks.array_traits
asyncexec.storage.chunks.arrays
asyncexec.storage.chunks.awaited_opening
asyncexec.storage.chunks.block_io
asyncexec.storage.chunks.buffers
asyncexec.storage.chunks.chunk_codec
asyncexec.storage.chunks.chunk_files
asyncexec.storage.chunks.chunk_keys
asyncexec.storage.chunks.chunk_slices
asyncexec.storage.chunks.codec_libraries
asyncexec.storage.chunks.element_types
asyncexec.storage.chunks.still_there
asyncexec.storage.places.errors
asyncexec.storage.places.locations
asyncexec.storage.places.urls
asyncexec.storage.places.options
asyncexec.storage.tiers
asyncexec.storage.tiers.blocks
asyncexec.storage.tiers.shared_account
asyncexec.storage.tiers.shared_array
"""
MOST_FOR_FUNCTIONS, MOST_FOR_ARRAYS = 170, 384
"""Of all modules, Python's own among them."""

# A program of its own: what its functions are is sent by value, so that nothing of pytest reaches the worker.
PROGRAM = """
import asyncio, json, sys
import numpy as np
import zarr
import asyncexec as ax
import asyncexec.array as xp
from asyncexec.workflow import StageSpec, Workflow

def look(*_):
    import sys
    return sorted(sys.modules)

def look_with(item, other):
    return look(item, other)

async def main(kind, path):
    async with ax.Engine("processes", executor_options={"max_workers": 1}) as engine:
        if kind == "array":
            array = zarr.create_array(path, shape=(8, 4), chunks=(2, 4), dtype="f8")
            array[:] = 1.0
            mean = await engine.execute(xp.mean(xp.from_zarr(path) * 2, axis=0))
            assert np.asarray(mean.value).tolist() == [2.0] * 4
        if kind == "workflow":
            flow = Workflow("looks", [StageSpec.of(look_with, map_on="items")])
            looked = await engine.execute(flow(items=[0], other=1))
        else:
            looked = await engine.execute(ax.Plan.map(look, [0]))
    print(json.dumps(looked.value[0]))

asyncio.run(main(*sys.argv[1:]))
"""


def loaded_in_a_worker(kind: str, path: str) -> set[str]:
    return set(json.loads(printed_by(PROGRAM, kind, path)))


def ours(loaded: set[str]) -> set[str]:
    return {name for name in loaded if name.split(".")[0] == "asyncexec"}


def test_a_worker_of_plain_functions_loads_these_modules(tmp_path):
    loaded = loaded_in_a_worker("function", str(tmp_path))
    assert ours(loaded) == {*WORKER.split(), *FUNCTIONS.split()}
    assert loaded & {"anyio", "asyncio", "networkx", "numpy", "zarr"} == set()
    assert len(loaded) <= MOST_FOR_FUNCTIONS


def test_a_worker_of_a_workflow_loads_the_call_of_its_functions_besides(tmp_path):
    loaded = loaded_in_a_worker("workflow", str(tmp_path))
    assert ours(loaded) == {*WORKER.split(), *FUNCTIONS.split(), *WORKFLOWS.split()}
    assert loaded & {"anyio", "asyncio", "networkx", "numpy", "zarr"} == set()
    assert len(loaded) <= MOST_FOR_FUNCTIONS


def test_a_worker_of_array_tasks_loads_these_modules(tmp_path):
    loaded = loaded_in_a_worker("array", str(tmp_path / "x.zarr"))
    assert ours(loaded) == {*WORKER.split(), *FUNCTIONS.split(), *ARRAYS.split()}
    assert loaded & {"anyio", "asyncio", "networkx", "zarr"} == set()
    assert len(loaded) <= MOST_FOR_ARRAYS
