"""The time of a recorded run outside of its attempts: before the first, between two on a worker, and after the last."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asyncexec.plan.box import point, unravel
from asyncexec.simulation.durations import Seconds
from asyncexec.simulation.recorded import Attempts, RecordedRun, RecordedStage

# The attempts that are looked at, evenly along each stage: each costs microseconds.
_MOST_LOOKED_AT = 20_000
_LEAST_LOOKED_AT = 20
# The quickest change from one attempt to the next shows what starts cost at least; not quite the least, as clocks err.
_QUICK = 0.1
_LEAST_GAP = 1e-6
_HIDDEN = 0.1
_FEW = 20


def overheads_of(run: RecordedRun) -> dict[str, float]:
    """Return the overheads of a run, as attributes of a :class:`Cluster`; all of its time where nothing started."""
    found = {
        "lead_seconds": 0.0,
        "tail_seconds": run.wall_seconds,
        "arrival_per_second": math.inf,
        "between_seconds": 0.0,
        "starts_per_second": math.inf,
        "latency_seconds": 0.0,
    }
    if not run.attempts:
        return found
    every = Attempts.all_of([stage.attempts for stage in run.stages])
    found["lead_seconds"] = lead = max(0.0, float(every.started.min()))
    found["tail_seconds"] = max(0.0, run.wall_seconds - float(every.ended.max()))
    found["arrival_per_second"] = _arrival(run, lead)
    gaps, answers = _waits(run, every)
    between = float(gaps.mean()) if len(gaps) else 0.0
    if between >= _LEAST_GAP:  # Clocks are no better.
        found["between_seconds"] = between
        quick = max(float(np.quantile(gaps, _QUICK)), _LEAST_GAP)
        found["starts_per_second"] = _start_rate(quick, every)
    if len(answers):
        # Short tasks travel many at once, and before they are waited for, which hides most of it.
        hidden = _HIDDEN * float(every.seconds.mean())
        found["latency_seconds"] = min(float(np.median(answers)) / 2.0, hidden)
    return found


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
