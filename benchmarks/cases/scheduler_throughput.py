"""The scheduler alone: every attempt succeeds the moment it is handed out.

Each run is a process of its own, so that its memory is the run's and nobody else's.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.case import Case, Contender, Figures, Measure, Target
from benchmarks.instant_run import STAGES


@contextmanager
def fresh_process(shape: str, tasks: int, *, watched: bool, quick: bool) -> Iterator[Measure]:
    command = [
        sys.executable,
        "-m",
        "benchmarks.instant_run",
        shape,
        str(tasks if not quick else min(tasks, 100_000)),
        str(int(watched)),
    ]

    def measure() -> Figures:
        here = Path(__file__).parents[2]
        done = subprocess.run(command, cwd=here, capture_output=True, text=True, check=True)
        return dict(json.loads(done.stdout.splitlines()[-1]))

    yield measure


def contender(shape: str, tasks: int, *, watched: bool) -> Contender:
    name = f"{shape}, {tasks:,} tasks" + (", watched" if watched else "")
    reference = (shape, tasks, watched) == ("map", 1_000, True)
    return Contender(
        name=name,
        ours=True,
        reference=reference,
        prepare=lambda quick: fresh_process(shape, tasks, watched=watched, quick=quick),
        warms_up=False,
    )


CASE = Case(
    name="scheduler_throughput",
    about="an instant backend, retries and backups on; watched = with an observer of every event",
    figure="tasks_per_s",
    better="more is better; ratios against 1,000 tasks, so 1.00 is flat",
    contenders=(
        *(contender("map", 10**n, watched=True) for n in (3, 4, 5, 6)),
        contender("map", 10**6, watched=False),
        contender(f"chain of {STAGES}", 10**6, watched=True),
        contender("tree", 10**6, watched=True),
    ),
    targets=(
        *(
            Target(of=f"map, {10**n:,} tasks, watched", figure="tasks_per_s", at_least=100_000)
            for n in (3, 4, 5, 6)
        ),
        Target(
            of=f"chain of {STAGES}, 1,000,000 tasks, watched",
            figure="tasks_per_s",
            at_least=100_000,
        ),
        Target(of="map, 1,000,000 tasks, watched", figure="grown_mb", at_most=64),
    ),
    repeat=5,
)
