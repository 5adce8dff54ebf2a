"""How long it takes from nothing to the first chunk in worker processes, beside importing NumPy as often."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import zarr

from benchmarks.case import Case, Contender, Figures, Measure, Target
from benchmarks.contenders import WORKERS


@contextmanager
def engine_start(*, quick: bool) -> Generator[Measure]:  # noqa: ARG001 - there is no less of it
    import asyncexec as ax
    import asyncexec.array as xp

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "x"
        zarr.create_array(source, data=np.ones((2, 4)), chunks=(2, 4))

        async def first_chunk() -> None:
            async with ax.Engine("processes", executor_options={"max_workers": WORKERS}) as engine:
                result = await engine.execute(xp.sum(xp.from_zarr(source)))
            assert result.value == 8

        yield lambda: measured(lambda: asyncio.run(first_chunk()))


@contextmanager
def numpy_imported(*, quick: bool) -> Generator[Measure]:  # noqa: ARG001 - the same
    def imports() -> None:
        for _ in range(WORKERS):
            subprocess.run([sys.executable, "-c", "import numpy"], check=True)

    yield lambda: measured(imports)


def measured(work: Callable[[], object]) -> Figures:
    before, start = _cpu(), time.perf_counter()
    work()
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "children_cpu_seconds": _cpu() - before}


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


CASE = Case(
    name="worker_start",
    about=f"from nothing to the first chunk, {WORKERS} processes, and the end of the engine",
    figure="seconds",
    better="less is better",
    contenders=(
        Contender(name="engine", ours=True, prepare=lambda quick: engine_start(quick=quick)),
        Contender(
            name=f"import numpy, {WORKERS} times",
            reference=True,
            prepare=lambda quick: numpy_imported(quick=quick),
        ),
    ),
    targets=(
        Target(
            of="engine",
            figure="seconds",
            at_most=1.3,
            against=f"import numpy, {WORKERS} times",
        ),
    ),
)
