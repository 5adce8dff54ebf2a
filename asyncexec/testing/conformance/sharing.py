"""The memory that tasks share by key, wherever they run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asyncexec.engine import Engine
from asyncexec.errors import ClusterMemoryError, TaskFailedError
from asyncexec.plan import Plan
from asyncexec.testing import sharing_kernels
from asyncexec.testing.conformance.suite import Factory, Suite
from asyncexec.testing.sharing_kernels import COUNT


class SharingRules(Suite):
    """A value that one task stores is there for every other of its run, and for the driver, and for no other run."""

    async def test_tasks_share_values_by_key(self, backend: Factory, files: Path) -> None:
        """Small ones and arrays, by calls that block and by those that are awaited; each run begins with none."""
        async with self._sharing(backend, files) as engine:
            await self._need_context(engine)
            execution = engine.start(
                Plan.map(sharing_kernels.share_two_values, range(6)).reduce(
                    sharing_kernels.collect_shared
                )
            )
            value = (await execution).value
            assert value == [[[n, COUNT * n] for n in range(6)], [f"array {n}" for n in range(6)]]
            with pytest.raises(ClusterMemoryError, match="its run has ended"):
                await execution.cluster_memory.get("small 0")
            assert (await engine.execute(Plan.map(sharing_kernels.use_one_key, [0]))).value == [
                [[], 2, True, False, False, True, [], True]
            ]
            with pytest.raises(TaskFailedError, match="a generator cannot be pickled"):
                await engine.execute(Plan.map(sharing_kernels.share_generator, [0]), retry=False)

    async def test_an_engine_shares_values_with_all_its_runs(
        self, backend: Factory, files: Path
    ) -> None:
        """With that lifetime the driver may put there what tasks read, and reads what they put."""
        async with self._sharing(backend, files, lifetime="engine") as engine:
            await self._need_context(engine)
            await engine.cluster_memory.put("array", np.ones(COUNT))
            assert (await engine.execute(Plan.map(sharing_kernels.sum_of_shared, [0]))).value == [
                COUNT
            ]
            assert await engine.cluster_memory.get("done") == "yes"

    def _sharing(self, backend: Factory, files: Path, **settings: Any) -> Engine:
        """Return an engine, not yet entered, whose cluster memory is among the test's files where it needs files."""
        return Engine(executor=backend(), cluster_memory={"work_dir": str(files), **settings})

    async def _need_context(self, engine: Engine) -> None:
        known = (await engine.execute(Plan.map(sharing_kernels.has_run_context, [0]))).value
        self.need(known == [True], "its tasks have no run context")
