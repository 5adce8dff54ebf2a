"""Arrays of up to 10^6 chunks, elementwise and reduced by a tree, where storage takes no time: planning and scheduling.

Each run is a process of its own, so that its memory is the run's and nobody else's; times are of its CPU.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks.case import Case, Contender, Figures, Measure, Target
from benchmarks.wide_array_run import JOBS

FEW, MANY = 10_000, 1_000_000


@contextmanager
def fresh_process(quick: bool, *, job: str, chunks: int) -> Iterator[Measure]:  # noqa: FBT001 - the form of all
    count = min(chunks, 100_000) if quick else chunks
    command = [sys.executable, "-m", "benchmarks.wide_array_run", job, str(count)]

    def measure() -> Figures:
        here = Path(__file__).parents[2]
        done = subprocess.run(command, cwd=here, capture_output=True, text=True, check=True)
        return dict(json.loads(done.stdout.splitlines()[-1]))

    yield measure


def contender(job: str, chunks: int) -> Contender:
    return Contender(
        name=f"{job}, {chunks:,} chunks",
        ours=True,
        reference=(job, chunks) == (JOBS[0], FEW),
        prepare=partial(fresh_process, job=job, chunks=chunks),
        warms_up=False,
    )


CASE = Case(
    name="wide_arrays",
    about="ones * 2 + 1 stored, and the sum of ones * 2 (unfused: no two operations in one task), an instant backend",
    figure="cpu_us_per_chunk",
    better=f"less is better; ratios against {FEW:,} chunks elementwise",
    contenders=[contender(job, chunks) for job in JOBS for chunks in (FEW, MANY)],
    targets=[
        Target(of=f"{job}, {MANY:,} chunks", figure=figure, at_most=most, at_least=least)
        for job in JOBS
        for figure, most, least in (
            ("plan_s", 1.0, None),
            ("tasks_per_s", None, 50_000.0),
            ("grown_mb", 8.0, None),
        )
    ],
    repeat=3,
)
