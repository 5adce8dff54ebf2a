"""The time of a recorded run outside of its attempts: before the first, between two on a worker, and after the last."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asyncexec.histories.recorded import Attempts, RecordedRun, RecordedStage, Seconds
from asyncexec.plan.box import point, unravel

# The attempts that are looked at, evenly along each stage: each costs microseconds.
_MOST_LOOKED_AT = 20_000
_LEAST_LOOKED_AT = 20
# The quickest change from one attempt to the next shows what starts cost at least; not quite the least, as clocks err.
_QUICK = 0.1
_LEAST_GAP = 1e-6
_HIDDEN = 0.1
_FEW = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Overheads:
    """The time of a run outside of its attempts.

    Attributes
    ----------
    lead_seconds, tail_seconds : float
        Time before the first attempt, and after the last.
    arrival_per_second : float
        Workers that had their first attempt a second.
    between_seconds : float
        Time that a worker took from one attempt to the next while work was ready.
    starts_per_second : float
        Upper bound of the attempts that were started a second.
    latency_seconds : float
        Time of a message between driver and workers, one way.
    """

    lead_seconds: float = 0.0
    tail_seconds: float = 0.0
    arrival_per_second: float = math.inf
    between_seconds: float = 0.0
    starts_per_second: float = math.inf
    latency_seconds: float = 0.0


def overheads_of(run: RecordedRun) -> Overheads:
    """Return the overheads of a run; all of its time where nothing started."""
    if not run.attempts:
        return Overheads(tail_seconds=run.wall_seconds)
    every = Attempts.all_of([stage.attempts for stage in run.stages])
    lead = max(0.0, float(every.started.min()))
    gaps, answers = _waits(run, every)
    between, starts = _between(gaps, every)
    # Short tasks travel many at once, and before they are waited for, which hides most of it.
    hidden = _HIDDEN * float(every.seconds.mean())
    return Overheads(
        lead_seconds=lead,
        tail_seconds=max(0.0, run.wall_seconds - float(every.ended.max())),
        arrival_per_second=_arrival(run, lead),
        between_seconds=between,
        starts_per_second=starts,
        latency_seconds=min(float(np.median(answers)) / 2.0, hidden) if len(answers) else 0.0,
    )


def _between(gaps: Seconds, every: Attempts) -> tuple[float, float]:
    """Return the mean wait of workers between two attempts, and how many the driver can start a second."""
    between = float(gaps.mean()) if len(gaps) else 0.0
    if between < _LEAST_GAP:  # Clocks are no better.
        return 0.0, math.inf
    quick = max(float(np.quantile(gaps, _QUICK)), _LEAST_GAP)
    return between, _start_rate(quick, every)


def _arrival(run: RecordedRun, lead: float) -> float:
    """Return the rate at which workers had their first attempts, while there was work for all of them."""
    ready = [stage.attempts for stage in run.stages if not (stage.reads or stage.waits_for)]
    begun = Attempts.all_of(ready)
    delays = np.sort(begun.started[begun.before() < 0])[: run.slots] - lead
    steps = delays[1:] / np.arange(1, len(delays))
    step = float(np.median(steps)) if len(steps) else 0.0
    return 1.0 / step if step > 0.0 else math.inf


def _start_rate(quick: float, every: Attempts) -> float:
    """Return how many attempts the driver can start a second: by its quickest answer, or as many as it did."""
    times = np.sort(every.started)
    few = float((times[_FEW:] - times[:-_FEW]).min()) if len(times) > _FEW else math.inf
    return max(1.0 / quick, _FEW / max(few, _LEAST_GAP))


def _waits(run: RecordedRun, every: Attempts) -> tuple[Seconds, Seconds]:
    """Return waits of workers between two attempts while work was ready, and waits of work while workers were idle."""
    before = every.before()
    free_since = np.where(before < 0, np.nan, every.ended[before])
    lengths = [len(stage.attempts) for stage in run.stages]
    complete = {stage.name: _completions(stage) for stage in run.stages}
    gaps: list[float] = []
    answers: list[float] = []
    most = max(_LEAST_LOOKED_AT, _MOST_LOOKED_AT // len(run.stages))
    for stage, since in zip(run.stages, np.split(free_since, np.cumsum(lengths)[:-1]), strict=True):
        attempts = stage.attempts
        firsts = np.flatnonzero((attempts.number == 1) & ~attempts.backup)
        for place in firsts[:: -(-len(firsts) // most) or 1].tolist():
            started, free = float(attempts.started[place]), float(since[place])
            ready = _ready(stage, int(attempts.task[place]), complete)
            if math.isnan(free) or not math.isfinite(ready):
                continue
            if ready <= free:
                gaps.append(max(0.0, started - free))
            elif ready > 0.0:
                answers.append(max(0.0, started - ready))
    return np.array(gaps), np.array(answers)


def _completions(stage: RecordedStage) -> Seconds:
    """Return when each task was complete, of the stage's shape; infinity for those that never were."""
    done = stage.attempts.by_task(stage.attempts.ended, stage.tasks)
    return np.nan_to_num(done, nan=math.inf).reshape(stage.shape)


def _ready(stage: RecordedStage, task: int, complete: Mapping[str, NDArray[Any]]) -> float:
    """Return when all that a task reads was complete; 0.0 if it reads nothing."""
    at = max((float(complete[name].max(initial=0.0)) for name in stage.waits_for), default=0.0)
    out = point(unravel(task, stage.shape))
    for read in stage.reads:
        box = read.relation.reads(out)
        found = complete[read.stage][np.ix_(*[np.array(span, np.int64) for span in box])]
        at = max(at, float(found.max(initial=0.0)))
    return at
