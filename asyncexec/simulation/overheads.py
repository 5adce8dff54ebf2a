"""The time of a recorded run outside of its attempts: before the first, between two on a worker, and after the last."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from asyncexec.plan.box import point, unravel
from asyncexec.simulation.recorded import Attempts

if TYPE_CHECKING:
    from asyncexec.simulation.recorded import RecordedRun, RecordedStage

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
    """Overheads of a run; times are seconds."""

    lead_seconds: float = 0.0
    """From the start of the run to its first attempt,"""

    tail_seconds: float = 0.0
    """and from the end of its last attempt to its end."""

    arrival_per_second: float = math.inf
    """Workers that had their first attempt a second, from then on."""

    between_seconds: float = 0.0
    """Between two attempts on a worker for which work is ready, on average."""

    starts_per_second: float = math.inf
    """Attempts that the driver is known to be able to start a second."""

    latency_seconds: float = 0.0
    """From the end of an attempt to the driver, or from the driver to an idle worker."""

    def as_cluster(self) -> dict[str, float]:
        """Return them as attributes of a :class:`Cluster`."""
        return {name: getattr(self, name) for name in self.__slots__}


def overheads_of(run: RecordedRun) -> Overheads:
    """Return the overheads of a run; all of its time where nothing started."""
    if not run.attempts:
        return Overheads(tail_seconds=run.wall_seconds)
    every = Attempts.all_of([stage.attempts for stage in run.stages])
    lead = max(0.0, float(every.started.min()))
    gaps, answers = _waits(run, every)
    between = float(gaps.mean()) if len(gaps) else 0.0
    if between < _LEAST_GAP:  # Clocks are no better.
        between = 0.0
    # Short tasks travel many at once, and before they are waited for, which hides most of it.
    away = (
        min(float(np.median(answers)) / 2.0, _HIDDEN * float(every.seconds.mean()))
        if len(answers)
        else 0.0
    )
    quick = max(float(np.quantile(gaps, _QUICK)), _LEAST_GAP) if len(gaps) else 0.0
    return Overheads(
        lead_seconds=lead,
        tail_seconds=max(0.0, run.wall_seconds - float(every.ended.max())),
        arrival_per_second=_arrival(run, lead),
        between_seconds=between,
        starts_per_second=_start_rate(quick, every) if between else math.inf,
        latency_seconds=away,
    )


def _arrival(run: RecordedRun, lead: float) -> float:
    """Return the rate at which workers had their first attempts, while there was work for all of them."""
    sources = [stage for stage in run.stages if not stage.reads and not stage.waits_for]
    first: dict[str, float] = {}
    last_start = -math.inf
    for stage in sources:
        started = stage.attempts.started
        last_start = max(last_start, float(started.max(initial=-math.inf)))
        for worker, at in zip(stage.attempts.worker.tolist(), started.tolist(), strict=True):
            first[worker] = min(at, first.get(worker, math.inf))
    # The last of them may have waited for work rather than work for them.
    delays = sorted(at - lead for at in first.values() if at < last_start or len(first) > 1)
    steps = [delay / number for number, delay in enumerate(delays[: run.slots]) if number]
    step = float(np.median(steps)) if steps else 0.0
    return 1.0 / step if step > 0.0 else math.inf


def _start_rate(quick: float, every: Attempts) -> float:
    """Return how many attempts the driver can start a second: by its quickest answer, or as many as it did."""
    times = np.sort(every.started)
    few = float((times[_FEW:] - times[:-_FEW]).min()) if len(times) > _FEW else math.inf
    return max(1.0 / quick, _FEW / max(few, _LEAST_GAP))


def _waits(run: RecordedRun, every: Attempts) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return waits of workers between two attempts while work was ready, and waits of work while workers were idle."""
    free_since = _free_since(every)
    complete = {stage.name: _completions(stage) for stage in run.stages}
    gaps: list[float] = []
    answers: list[float] = []
    most = max(_LEAST_LOOKED_AT, _MOST_LOOKED_AT // len(run.stages))
    for stage in run.stages:
        firsts = stage.attempts.where((stage.attempts.number == 1) & ~stage.attempts.backup)
        step = -(-len(firsts) // most) or 1
        for place in range(0, len(firsts), step):
            started = float(firsts.started[place])
            free = free_since.get((str(firsts.worker[place]), started))
            ready = _ready(stage, int(firsts.task[place]), complete)
            if free is None or not math.isfinite(ready):
                continue
            if ready <= free:
                gaps.append(max(0.0, started - free))
            elif ready > 0.0:
                answers.append(max(0.0, started - ready))
    return np.array(gaps), np.array(answers)


def _free_since(every: Attempts) -> dict[tuple[str, float], float]:
    """Return, by worker and start, the end of the attempt before on the same worker."""
    found: dict[tuple[str, float], float] = {}
    order = np.lexsort((every.started, every.worker))
    workers, starts = every.worker[order].tolist(), every.started[order].tolist()
    ends = every.ended[order].tolist()
    for place in range(1, len(order)):
        if workers[place] == workers[place - 1]:
            found[workers[place], starts[place]] = ends[place - 1]
    return found


def _completions(stage: RecordedStage) -> NDArray[np.float64]:
    """Return when each task was complete, of the stage's shape; infinity for those that never were."""
    done = np.full(stage.tasks, math.inf)
    succeeded = stage.attempts.succeeded
    np.minimum.at(done, stage.attempts.task[succeeded], stage.attempts.ended[succeeded])
    return done.reshape(stage.shape)


def _ready(stage: RecordedStage, task: int, complete: Mapping[str, NDArray[Any]]) -> float:
    """Return when all that a task reads was complete; 0.0 if it reads nothing."""
    at = max((float(complete[name].max(initial=0.0)) for name in stage.waits_for), default=0.0)
    out = point(unravel(task, stage.shape))
    for read in stage.reads:
        box = read.relation.reads(out)
        found = complete[read.stage][np.ix_(*[np.array(span, np.int64) for span in box])]
        at = max(at, float(found.max(initial=0.0)))
    return at
