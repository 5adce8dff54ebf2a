"""The time in which a plan is made, from 10^3 to 10^8 chunks: it ought to be the same."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from benchmarks.case import Case, Contender, Figures, Measure, Prepare, Target

FEWEST, MOST = 3, 8


@contextmanager
def planning(_quick: object, *, exponent: int) -> Iterator[Measure]:
    import asyncexec.array as xp

    chunks = 10**exponent

    def measure() -> Figures:
        start = time.perf_counter()
        x = xp.zeros((chunks * 10, 10), chunks=(10, 10))
        plan = (xp.sqrt(x + 1) - xp.mean(x, axis=1, keepdims=True)).to_plan()
        seconds = time.perf_counter() - start
        assert plan.tasks >= chunks
        return {"seconds": seconds}

    yield measure


def _prepared(exponent: int) -> Prepare:
    return partial(planning, exponent=exponent)


CASE = Case(
    name="array_planning",
    about="the plan of sqrt(x + 1) - mean(x), by the number of chunks",
    figure="seconds",
    better="less is better",
    contenders=[
        Contender(
            name=f"10^{exponent} chunks",
            ours=True,
            reference=exponent == FEWEST,
            prepare=_prepared(exponent),
        )
        for exponent in range(FEWEST, MOST + 1)
    ],
    targets=(
        Target(
            of=f"10^{MOST} chunks",
            figure="seconds",
            at_most=1.5,
            against=f"10^{FEWEST} chunks",
        ),
    ),
)
