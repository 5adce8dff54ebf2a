"""The memory that tasks share by key, wherever they run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asyncexec.cluster_memory.inside import get_cluster_memory
from asyncexec.engine import Engine
from asyncexec.errors import ClusterMemoryError, TaskFailedError
from asyncexec.plan import Plan
from asyncexec.testing.conformance.suite import Factory, Suite

_COUNT = 50_000


class SharingRules(Suite):
    """A value that one task stores is there for every other of its run, and for the driver, and for no other run."""

    def sharing(self, backend: Factory, files: Path, **settings: Any) -> Engine:
        """Return an engine, not yet entered, whose cluster memory is among the test's files where it needs files."""
        return Engine(executor=backend(), cluster_memory={"work_dir": str(files), **settings})

    async def test_tasks_share_values_by_key(self, backend: Factory, files: Path) -> None:
        """Small ones, arrays, classes of the script; by calls that block and by those that are awaited."""

        def put(number: int) -> int:
            memory = get_cluster_memory().sync
            memory.put(f"small {number}", {"number": number})
            memory.put(f"array {number}", np.full(_COUNT, number), namespace="arrays")
            return number

        async def collect(numbers: list[int]) -> list[Any]:
            memory = get_cluster_memory()
            found = [
                [
                    (await memory.get(f"small {n}"))["number"],
                    int((await memory.get(f"array {n}", namespace="arrays")).sum()),
                ]
                for n in numbers
            ]
            return [found, sorted(await memory.keys(namespace="arrays"))]

        async with self.sharing(backend, files) as engine:
            value = (await engine.execute(Plan.map(put, range(6)).reduce(collect))).value
        assert value == [[[n, _COUNT * n] for n in range(6)], [f"array {n}" for n in range(6)]]

    async def test_a_shared_value_is_deleted_and_replaced(
        self, backend: Factory, files: Path
    ) -> None:
        """A deleted or cleared value is missing, and each namespace is apart."""

        def use(_: int) -> list[Any]:
            memory = get_cluster_memory().sync
            memory.put("key", 1)
            memory.put("key", 2)
            memory.put("key", 3, namespace="other")
            seen: list[Any] = [memory.get("key"), memory.delete("key"), memory.delete("key")]
            seen += [memory.exists("key"), memory.exists("key", namespace="other")]
            memory.clear(namespace="other")
            seen += [list(memory.keys(namespace="other"))]
            try:
                memory.get("key")
            except KeyError as error:
                seen.append("there is no 'key'" in str(error))
            return seen

        async with self.sharing(backend, files) as engine:
            value = (await engine.execute(Plan.map(use, [0]))).value
        assert value == [[2, True, False, False, True, [], True]]

    async def test_what_runs_share_goes_with_them(self, backend: Factory, files: Path) -> None:
        """Each run begins with nothing, and the driver reads what is there as long as the run goes on."""

        def count(number: int) -> int:
            memory = get_cluster_memory().sync
            memory.put(str(number), number)
            return len(memory.keys())

        async with self.sharing(backend, files) as engine:
            assert (await engine.execute(Plan.map(count, [0]))).value == [1]
            execution = engine.start(Plan.map(count, [0]))
            assert (await execution).value == [1]
            with pytest.raises(ClusterMemoryError, match="its run has ended"):
                await execution.cluster_memory.get("0")

    async def test_an_engine_shares_values_with_all_its_runs(
        self, backend: Factory, files: Path
    ) -> None:
        """With that lifetime the driver may put there what tasks read, and reads what they put."""

        def double(_: int) -> float:
            memory = get_cluster_memory().sync
            memory.put("done", "yes")
            return float(memory.get("array").sum())

        async with self.sharing(backend, files, lifetime="engine") as engine:
            await engine.cluster_memory.put("array", np.ones(_COUNT))
            assert (await engine.execute(Plan.map(double, [0]))).value == [_COUNT]
            assert await engine.cluster_memory.get("done") == "yes"

    async def test_what_cannot_be_shared_fails_its_task_and_says_why(
        self, backend: Factory, files: Path
    ) -> None:
        """A generator cannot be pickled anywhere."""

        def put(_: int) -> None:
            get_cluster_memory().sync.put("key", (n for n in range(3)))

        async with self.sharing(backend, files, lifetime="run") as engine:
            with pytest.raises(TaskFailedError, match="a generator cannot be pickled"):
                await engine.execute(Plan.map(put, [0]), retry=False)
