"""One case a file; `ALL` names them in the order they run."""

from benchmarks.case import Case
from benchmarks.cases import (
    array_functions,
    array_jobs,
    array_planning,
    codecs,
    coroutines,
    cubed_on_asyncexec,
    deep_plans,
    field_jobs,
    heartbeat,
    many_plans,
    noop_processes,
    noop_threads,
    scheduler_throughput,
    small_compute,
    wide_arrays,
    worker_start,
    workflow_overhead,
)

ALL: dict[str, Case] = {
    case.name: case
    for case in (
        noop_threads.CASE,
        noop_processes.CASE,
        scheduler_throughput.CASE,
        heartbeat.CASE,
        coroutines.CASE,
        small_compute.CASE,
        many_plans.CASE,
        deep_plans.CASE,
        worker_start.CASE,
        workflow_overhead.CASE,
        *array_jobs.CASES,
        *field_jobs.CASES,
        *array_functions.CASES,
        *codecs.CASES,
        array_planning.CASE,
        wide_arrays.CASE,
        *cubed_on_asyncexec.CASES,
    )
}

GROUPS: dict[str, tuple[str, ...]] = {
    "array_jobs": tuple(case.name for case in field_jobs.CASES),
}
"""Names that stand for several cases, which are run when they are asked for."""
