"""Results are the same as on ``serial``, bit for bit: values, errors, arrays, and all that under faults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import asyncexec.array as xp
from asyncexec.engine import Engine
from asyncexec.errors import TaskError
from asyncexec.plan import Plan
from asyncexec.policies.retry import Retry
from asyncexec.testing import plan_functions
from asyncexec.testing.conformance.suite import Factory, Suite
from asyncexec.testing.faults import Die, Fail, Faults, Moment, Slow
from asyncexec.testing.injection import inject

AT_ONCE = Retry(attempts=6, base_seconds=0.0)
WRITES = Moment.TOLD


class SamenessRules(Suite):
    """The executor of a plan is not to be seen in its result."""

    async def test_values_are_those_of_serial(self, backend: Factory) -> None:
        """Of every plain kind, of NumPy's, nested, large and empty."""
        plan = Plan.map(plan_functions.value, range(12)).then(
            lambda value: (type(value).__name__, repr(value))
        )
        async with Engine(executor=backend()) as engine, Engine("serial") as serial:
            ours, theirs = await engine.execute(plan), await serial.execute(plan)
        assert ours.value == theirs.value
        assert ours.tasks == theirs.tasks

    async def test_errors_are_those_of_serial(self, backend: Factory) -> None:
        """The same class, place and cause; only the worker's name differs."""

        def fails(item: int) -> float:
            return 1 / (item - 3)

        plan = Plan.map(fails, range(6), name="division")
        told: list[tuple[Any, ...]] = []
        async with Engine(executor=backend()) as engine, Engine("serial") as serial:
            for each in (engine, serial):
                with pytest.raises(TaskError) as caught:
                    await each.execute(plan, retry=False)
                error = caught.value
                message = str(error).replace(error.worker, "WORKER")
                told.append((type(error), error.stage, error.index, error.attempt, message))
        assert told[0] == told[1]

    async def test_arrays_are_those_of_serial(self, backend: Factory, files: Path) -> None:
        """Elementwise, reduced, rechunked, multiplied and stored, chunk by chunk."""
        async with Engine(executor=backend()) as engine, Engine("serial") as serial:
            for each, name in ((engine, "ours"), (serial, "theirs")):
                await each.execute(array_job(files, name))
        for part in range(4):
            ours = stored_files(files, "ours", part)
            theirs = stored_files(files, "theirs", part)
            assert ours.keys() == theirs.keys()
            assert ours == theirs, f"array {part} differs"

    async def test_faults_do_not_show_in_the_result(self, backend: Factory, files: Path) -> None:
        """Attempts that fail, are slow, or (on isolated workers) die before or after their write."""
        async with backend() as opened:
            can = opened.capabilities
        rates: list[tuple[float, Any]] = [
            (0.05, Fail()),
            (0.05, Fail(moment=WRITES)),
            (0.05, Slow(seconds=0.02)),
        ]
        (files / "faults").mkdir()
        faults = Faults(folder=files / "faults", rates=rates, seed=1)
        if can.isolated and can.loss_seconds is not None and can.loss_seconds < self.patience:
            chosen: dict[Any, Any] = {("mapped", 3): [Die()], ("mapped", 7): [None, Fail(), None]}
            faults = Faults(folder=files / "faults", chosen=chosen, rates=rates, seed=1)
        plan = Plan.map(abs, range(-30, 0), name="mapped").then(str, name="then").reduce("".join)
        async with Engine(executor=backend(), straggler=False) as engine:
            ours = await engine.execute(inject(plan, faults), retry=AT_ONCE)
        async with Engine("serial") as serial:
            theirs = await serial.execute(plan)
        assert ours.value == theirs.value
        assert ours.failures >= 1

    async def test_faulty_chunks_are_those_of_serial(self, backend: Factory, files: Path) -> None:
        """Chunks are written whole, whichever attempt wrote them."""
        (files / "faults").mkdir()
        rates = [(0.1, Fail()), (0.1, Fail(moment=WRITES)), (0.1, Fail(moment=Moment.LOAD))]
        faults = Faults(folder=files / "faults", rates=rates, seed=2)
        async with Engine(executor=backend(), straggler=False) as engine:
            await engine.execute(inject(array_job(files, "ours"), faults), retry=AT_ONCE)
        async with Engine("serial") as serial:
            await serial.execute(array_job(files, "theirs"))
        for part in range(4):
            assert stored_files(files, "ours", part) == stored_files(files, "theirs", part)


def array_job(folder: Path, name: str) -> Plan:
    """Return a plan that stores four arrays under ``folder``: what users of arrays do, in small."""
    spec = xp.Spec(work_dir=str(folder / f"work-{name}"), allowed_mem="200MB")
    x = xp.asarray(np.sin(np.arange(480.0)).reshape(24, 20), chunks=(7, 6), spec=spec)
    y = xp.exp(x) * 2 + x
    arrays = [
        y,
        xp.mean(y, axis=0),
        xp.permute_dims(xp.rechunk(x, (5, 20)), (1, 0)),
        xp.std(xp.rechunk(y, (24, 3)), axis=1),
    ]
    targets = [str(folder / name / f"{part}.zarr") for part in range(len(arrays))]
    return xp.store(arrays, targets).to_plan()


def stored_files(folder: Path, name: str, part: int) -> dict[str, bytes]:
    """Return every file of a stored array by its place in it."""
    root = folder / name / f"{part}.zarr"
    return {
        str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }
