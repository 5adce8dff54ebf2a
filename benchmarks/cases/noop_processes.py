"""What a task costs beside its work, in processes."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from benchmarks.case import Case, Contender, Target
from benchmarks.contenders import WORKERS, distributed_map, engine_map, pool_map


def tasks(many: int = 20_000, *, quick: bool) -> int:
    return many // 10 if quick else many


def pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(WORKERS, mp_context=get_context("forkserver"))


CASE = Case(
    name="noop_processes",
    about=f"a function that does nothing, {WORKERS} processes",
    figure="us_per_task",
    better="less is better",
    contenders=(
        Contender(
            name="engine",
            ours=True,
            prepare=lambda quick: engine_map("processes", tasks(quick=quick)),
        ),
        Contender(
            name="ProcessPoolExecutor.map",
            reference=True,
            prepare=lambda quick: pool_map(pool(), tasks(5_000, quick=quick)),
        ),
        Contender(
            name="ProcessPoolExecutor.map, chunksize 64",
            prepare=lambda quick: pool_map(pool(), tasks(quick=quick), chunksize=64),
        ),
        Contender(
            name="Dask distributed, processes",
            prepare=lambda quick: distributed_map(tasks(2_000, quick=quick), processes=True),
        ),
    ),
    targets=(Target(of="engine", figure="us_per_task", at_most=8.0),),
)
