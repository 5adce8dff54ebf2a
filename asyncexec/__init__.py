"""An asyncio-native execution engine: plans of parallel stages, on any backend, in bounded memory.

>>> import asyncexec as ax
>>> plan = ax.Plan.map(abs, range(-3, 3))
>>> async with ax.Engine(executor="threads") as engine:
...     result = await engine.execute(plan)
>>> result.value
[3, 2, 1, 0, 1, 2]

Names are imported when first used, so that importing the package is quick, also in a worker process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncexec.lazy import names_of

if TYPE_CHECKING:
    from asyncexec import array as array, errors as errors, sync as sync
    from asyncexec.array.spec import Spec as Spec
    from asyncexec.cluster_memory.inside import get_cluster_memory as get_cluster_memory
    from asyncexec.engine import (
        Engine as Engine,
        Execution as Execution,
        Result as Result,
        StageResult as StageResult,
    )
    from asyncexec.engine.default_engine import (
        close_shared_engines as close_shared_engines,
        compute as compute,
        execute as execute,
        from_zarr as from_zarr,
        store_icechunk as store_icechunk,
    )
    from asyncexec.errors import (
        AsyncexecError as AsyncexecError,
        RemoteError as RemoteError,
        SkippedError as SkippedError,
        TaskError as TaskError,
    )
    from asyncexec.events.missing import Failed as Failed, Skipped as Skipped
    from asyncexec.object_store import (
        ObjectStore as ObjectStore,
        get_object_store as get_object_store,
    )
    from asyncexec.observers import History as History, Progress as Progress, Summary as Summary
    from asyncexec.plan import Plan as Plan
    from asyncexec.plan.limit import Limit as Limit
    from asyncexec.policies.retry import Retry as Retry
    from asyncexec.policies.timeout import Timeout as Timeout
    from asyncexec.runs import RunStore as RunStore
    from asyncexec.worker.task_context import (
        RunContext as RunContext,
        get_run_context as get_run_context,
    )
else:
    __getattr__, __dir__ = names_of(
        __name__,
        {
            "AsyncexecError": "errors",
            "Engine": "engine",
            "Execution": "engine",
            "Failed": "events.missing",
            "History": "observers",
            "Limit": "plan.limit",
            "ObjectStore": "object_store",
            "Plan": "plan",
            "Progress": "observers",
            "RemoteError": "errors",
            "Result": "engine",
            "Retry": "policies.retry",
            "RunContext": "worker.task_context",
            "RunStore": "runs",
            "Skipped": "events.missing",
            "SkippedError": "errors",
            "Spec": "array.spec",
            "StageResult": "engine",
            "Summary": "observers",
            "TaskError": "errors",
            "Timeout": "policies.timeout",
            "array": "",
            "close_shared_engines": "engine.default_engine",
            "compute": "engine.default_engine",
            "errors": "",
            "execute": "engine.default_engine",
            "from_zarr": "engine.default_engine",
            "get_cluster_memory": "cluster_memory.inside",
            "get_object_store": "object_store",
            "get_run_context": "worker.task_context",
            "store_icechunk": "engine.default_engine",
            "sync": "",
        },
    )

__version__ = "0.1.0"
