"""What a task costs beside its work, in threads."""

from concurrent.futures import ThreadPoolExecutor

from benchmarks.case import Case, Contender, Target
from benchmarks.contenders import (
    WORKERS,
    dask_delayed,
    distributed_map,
    engine_map,
    loop_executor,
    pool_map,
)


def tasks(many: int = 20_000, *, quick: bool) -> int:
    return many // 10 if quick else many


CASE = Case(
    name="noop_threads",
    about=f"a function that does nothing, {WORKERS} threads",
    figure="us_per_task",
    better="less is better",
    contenders=(
        Contender(
            name="engine",
            ours=True,
            prepare=lambda quick: engine_map("threads", tasks(quick=quick)),
        ),
        Contender(
            name="engine, watched",
            ours=True,
            prepare=lambda quick: engine_map("threads", tasks(quick=quick), observed=True),
        ),
        Contender(
            name="ThreadPoolExecutor.map",
            reference=True,
            prepare=lambda quick: pool_map(ThreadPoolExecutor(WORKERS), tasks(quick=quick)),
        ),
        Contender(
            name="loop.run_in_executor",
            prepare=lambda quick: loop_executor(ThreadPoolExecutor(WORKERS), tasks(quick=quick)),
        ),
        Contender(
            name="Dask threads",
            prepare=lambda quick: dask_delayed("threads", tasks(5_000, quick=quick)),
        ),
        Contender(
            name="Dask distributed, in process",
            prepare=lambda quick: distributed_map(tasks(2_000, quick=quick), processes=False),
        ),
    ),
    targets=(
        Target(of="engine", figure="us_per_task", at_most=0.5, against="ThreadPoolExecutor.map"),
    ),
)
