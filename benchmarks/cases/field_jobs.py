"""Jobs on two fields of a gigabyte each, beside peers and the limit of the machine."""

from __future__ import annotations

from benchmarks.case import LIMIT, Case, Contender, Target
from benchmarks.field_jobs.jobs import JOBS, FieldJob
from benchmarks.field_jobs.limit import limit
from benchmarks.field_jobs.measuring import turn
from benchmarks.field_jobs.turn import CONTENDERS

THREADS, PROCESSES = "asyncexec, threads", "asyncexec, processes"
_OVER_LIMIT = {"field_rechunk": 1 / 0.85}


def contender_of(name: str, job: FieldJob) -> Contender:
    # Each turn warms up by itself, on arrays of a few elements.
    return Contender(
        name=name,
        prepare=lambda quick: turn(name, job, quick=quick),
        ours=name.startswith("asyncexec"),
        warms_up=False,
    )


def limit_contender(job: FieldJob) -> Contender:
    return Contender(
        name=LIMIT, prepare=lambda quick: limit(job, quick=quick), reference=True, warms_up=False
    )


def case_of(job: FieldJob) -> Case:
    return Case(
        name=job.name,
        about=job.about,
        figure="seconds",
        better="less is better; x is the time over the limit of the machine",
        contenders=(limit_contender(job), *(contender_of(name, job) for name in CONTENDERS)),
        targets=(
            Target(
                of=THREADS,
                figure="seconds",
                at_most=_OVER_LIMIT.get(job.name, 1 / 0.9),
                against=LIMIT,
            ),
            Target(of=THREADS, figure="seconds", at_most=1.0, against="Dask array, threads"),
            Target(of=PROCESSES, figure="seconds", at_most=1.25, against=THREADS),
            Target(of=THREADS, figure="peak_mb", at_most=1.0, against="Dask array, threads"),
        ),
        repeat=3,
    )


CASES = tuple(case_of(job) for job in JOBS)
