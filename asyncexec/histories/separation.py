"""Measured durations, separated into what is the task's, which every attempt meets, and what is the attempt's.

What workers did (:mod:`asyncexec.histories.worker_causes`) is taken out first, then what the places and sizes of tasks
explain (:mod:`asyncexec.histories.task_causes`). Of the remainder, what is slow beyond twice the ordinary may be the
attempt's doing, and then a backup helps, or the task's, and then it does not. Tasks with several attempts are
witnesses, in this run and in others of the same plan: if another attempt of a slow task was quick, the
attempt was slow and not the task. Where they are too few, both ends of what is possible are kept.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from asyncexec.errors import OptionError
from asyncexec.histories.recorded import (
    RUNS_ON,
    Attempts,
    RecordedRun,
    RecordedStage,
    Seconds,
)
from asyncexec.histories.task_causes import (
    ALIKE_Z,
    explained,
    known_in_both,
    rank_correlation,
    together,
)
from asyncexec.histories.worker_causes import WorkerCauses
from asyncexec.plan.box import point, unravel
from asyncexec.straggler.survival import surviving

type Slowness = Literal["auto", "attempts", "tasks"]

SLOW_FACTOR = 2.0
"""An attempt is slow beyond this multiple of what its task is expected to take."""

# Ends nearer to each other than this are one.
_NARROW = 0.35
# Where durations spread less than this, it does not matter whose doing it is.
_EVEN = 1.25
_LEAST_PAIRS = 20
_QUANTILES = 1_000
_MOST_QUANTILES = 50_000
_NOTHING: Seconds = np.zeros(0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Separated:
    """The durations of a stage's tasks, and those of its attempts.

    Slow tasks stay slow in every attempt, slow attempts are drawn anew: both as multiples of what tasks are expected
    to take. All is empty where a stage has no tasks, or durations were given instead of measured.
    """

    expected: Seconds = field(default_factory=lambda: _NOTHING)
    """What tasks are expected to take, shape (tasks,)."""

    hang_share: float = 0.0
    """Share of attempts that hung,"""

    failure_share: float = 0.0
    """and of those that failed."""

    own: Seconds = field(default_factory=lambda: _NOTHING)
    """Multiples by task, shape (tasks,); NaN where unknown."""

    pool: Seconds = field(default_factory=lambda: _NOTHING)
    """Multiples of first attempts, shape (attempts,), as if none had been stopped."""

    verdicts: Mapping[int, bool] = field(default_factory=dict[int, bool])
    """Whether slow tasks are slow by nature, where another attempt is a witness."""

    by_nature: tuple[float, float] = (0.0, 0.0)
    """Least and greatest share of what is slow that may be the tasks' doing, not the attempts'."""

    explained_share: float = 0.0
    """Share of the variance (of logarithms) that the places and sizes of tasks explain."""

    @property
    def slow_share(self) -> float:
        """The share of first attempts that were slow."""
        return float(np.mean(self.pool > SLOW_FACTOR)) if len(self.pool) else 0.0

    @property
    def witnesses(self) -> int:
        """The number of slow tasks with another attempt that shows whether the task is slow."""
        return len(self.verdicts)

    @property
    def blamed_on_attempts(self) -> float:
        """The share of what is slow that is attributed to attempts: between both ends."""
        return 1.0 - sum(self.by_nature) / 2.0

    @property
    def known(self) -> bool:
        """True if it is known whose doing the slow ones were."""
        return self.by_nature[0] == self.by_nature[1]

    @property
    def ordinary(self) -> Seconds:
        """Multiples by task, where those that are unknown are ordinary ones."""
        return np.where(np.isfinite(self.own), self.own, float(np.median(self.pool)))

    def dealt(self, share: float, random: np.random.Generator) -> tuple[NDArray[np.bool_], Seconds]:
        """Return which tasks are slow by nature, and multiples from which attempts of all others are drawn.

        So large a ``share`` of the undecided tasks is slow by nature; which, ``random`` decides.
        """
        natural = random.random(len(self.own)) < share
        for task, slow in self.verdicts.items():
            natural[task] = slow
        natural &= np.isfinite(self.own)
        return natural, self._drawn_from(natural)

    def _drawn_from(self, natural: NDArray[np.bool_]) -> Seconds:
        """Return multiples from which attempts of all other tasks are drawn, so that as many are slow as were."""
        slow = self.pool > SLOW_FACTOR
        tail, body = np.sort(self.pool[slow]), np.sort(self.pool[~slow])
        if not len(tail) or not len(body):
            return self.pool
        slow_by_nature = float((natural & (self.own > SLOW_FACTOR)).mean())
        others = max(1.0 - float(natural.mean()), 1e-9)
        share = max(0.0, float(slow.mean()) - slow_by_nature) / others
        count = round(min(share, 1.0) * _QUANTILES)
        return np.concatenate([_spaced(body, _QUANTILES - count), _spaced(tail, count)])


def _spaced(values: Seconds, count: int) -> Seconds:
    """Return ``count`` of sorted values, evenly by rank."""
    places = ((np.arange(count) + 0.5) * len(values) / max(count, 1)).astype(np.int64)
    return values[places]


def separate_run(
    run: RecordedRun,
    slowness: Slowness = "auto",
    *,
    workers: WorkerCauses | None = None,
    others: Sequence[RecordedRun] = (),
    given: Collection[str] = (),
) -> dict[str, Separated]:
    """Return what is tasks' and what is attempts' in each stage of ``run``, by its name.

    Parameters
    ----------
    run : RecordedRun
    slowness : {"auto", "attempts", "tasks"}
        Cause to which slow attempts are attributed; "auto": as witnesses show.
    workers : WorkerCauses, optional
        What workers did, which is taken out of the durations.
    others : sequence of RecordedRun
        Further runs of the same plan, whose tasks are witnesses.
    given : collection of str
        Names of stages whose durations are given: nothing is said of them.

    Raises
    ------
    OptionError
        If none of the attempts of another stage succeeded.
    """
    found: dict[str, Separated] = {}
    for place, stage in enumerate(run.stages):
        if stage.name in given or not stage.tasks:
            found[stage.name] = Separated()
        elif stage.measured:
            again = [other.stages[place] for other in others if other.stages[place].measured]
            found[stage.name] = separate(stage, slowness, workers=workers, again=again)
        else:
            raise OptionError(
                f"the history holds no attempt of stage {stage.name!r} that succeeded, so how long its tasks take is "
                f"not known: give durations for it (--durations {stage.name}=HOW)"
            )
    for pair in _pairs(run):
        found |= _along(*((name, found[name]) for name in pair))
    return found


def _pairs(run: RecordedRun) -> Iterator[tuple[str, str]]:
    """Yield stages of which each task of one reads the task of the same index of the other, and the other."""
    shapes = {stage.name: stage.shape for stage in run.stages}
    for stage in run.stages:
        ends = [unravel(place, stage.shape) for place in {0, stage.tasks - 1} if place >= 0]
        for read in stage.reads:
            if shapes[read.stage] == stage.shape and all(
                [[*span] for span in read.relation.reads(point(end))] == [[n] for n in end]
                for end in ends
            ):
                yield stage.name, read.stage


def _along(*pair: tuple[str, Separated]) -> dict[str, Separated]:
    """Return two stages; where the same indices are long in both, that share of what is slow is by nature in both."""
    (_, one), (_, other) = pair
    if not len(one.own) or not len(other.own):
        return {}
    own, others = known_in_both(one.own, other.own)
    if len(own) < _LEAST_PAIRS or together(own, others) < ALIKE_Z:
        return {}
    share = rank_correlation(own, others)
    return {name: _at_least(part, share) for name, part in pair if not part.known}


def _at_least(part: Separated, share: float) -> Separated:
    least, most = (max(end, share) for end in part.by_nature)
    return replace(part, by_nature=_narrowed(least, most, (least + most) / 2.0))


def _narrowed(least: float, most: float, middle: float) -> tuple[float, float]:
    """Return two ends, or the middle twice if they are near to each other."""
    return (least, most) if most - least > _NARROW else (middle, middle)


def separate(
    stage: RecordedStage,
    slowness: Slowness = "auto",
    *,
    workers: WorkerCauses | None = None,
    again: Sequence[RecordedStage] = (),
) -> Separated:
    """Return what is tasks' and what is attempts' in one stage, of whose attempts at least one has succeeded."""
    workers = workers or WorkerCauses()
    attempts = stage.attempts
    hung, failed = attempts.status == "timed out", attempts.status == "failed"
    usual = attempts.where(~hung & ~failed & ~workers.is_first(attempts))
    if not usual.succeeded.any():
        usual = attempts.where(attempts.succeeded)
    seconds = usual.seconds / workers.factor(usual)
    own = usual.by_task(seconds, stage.tasks)
    fit = explained(own, _bytes_of(stage), stage.shape)
    ratio = seconds / fit[usual.task]
    first = usual.number == 1 if (usual.succeeded & (usual.number == 1)).any() else usual.succeeded
    pool = _uncensored(ratio[first], usual.succeeded[first])
    verdicts = _verdicts(usual, ratio) | _verdicts_again(own / fit, again)
    return Separated(
        expected=fit,
        hang_share=float(np.mean(hung)),
        failure_share=float(np.mean(failed)),
        own=own / fit,
        pool=pool,
        verdicts=verdicts,
        by_nature=_ends(slowness, list(verdicts.values()), pool),
        explained_share=_explained_share(own, fit),
    )


def _bytes_of(stage: RecordedStage) -> Seconds:
    """Return the bytes that each task read and wrote; the median where that is not known."""
    found = np.zeros(stage.tasks)
    np.maximum.at(found, stage.attempts.task, stage.attempts.nbytes)
    known = found > 0
    return np.where(known, found, np.median(found[known])) if known.any() else found


def _explained_share(own: Seconds, fit: Seconds) -> float:
    known = np.isfinite(own)
    logs = np.log(own[known])
    whole, left = float(logs.var()), float((logs - np.log(fit[known])).var())
    return max(0.0, 1.0 - left / whole) if whole > 1e-12 else 0.0


def _verdicts(attempts: Attempts, ratio: Seconds) -> dict[int, bool]:
    """Return, for tasks with a slow attempt and a witness, whether the task is slow.

    A witness is another attempt that succeeded, or that was slow as well when it was stopped.
    """
    slow = ratio > SLOW_FACTOR
    tells = slow | attempts.succeeded
    accused = attempts.task[slow & (attempts.number == 1)]
    others = (attempts.number > 1) & np.isin(attempts.task, accused) & tells
    quick = set(attempts.task[others & ~slow].tolist())
    return {task: task not in quick for task in attempts.task[others].tolist()}


def _verdicts_again(own: Seconds, again: Sequence[RecordedStage]) -> dict[int, bool]:
    """Return the same by what the slow tasks took in other runs."""
    found: dict[int, bool] = {}
    slow = np.flatnonzero(own > SLOW_FACTOR)
    for stage in again:
        seconds = stage.own_seconds
        ratio = seconds / np.nanmedian(seconds)
        for task in slow[np.isfinite(ratio[slow])].tolist():
            # Slow by the same measure: what is expected of it is in ``own`` already.
            found[task] = found.get(task, True) and bool(ratio[task] > SLOW_FACTOR)
    return found


def _ends(slowness: Slowness, verdicts: Sequence[bool], pool: Seconds) -> tuple[float, float]:
    """Return the least and the greatest share by nature, as far as verdicts show (four in five sure)."""
    if slowness != "auto":
        share = float(slowness == "tasks")
        return share, share
    if float(pool.max()) <= SLOW_FACTOR and float(np.quantile(pool, 0.95)) < _EVEN:
        return 1.0, 1.0
    if not verdicts:
        return 0.0, 1.0
    slow, count = sum(verdicts), len(verdicts)
    drawn = np.random.default_rng(0).beta(1.0 + slow, 1.0 + count - slow, 10_000)
    least, most = np.quantile(drawn, (0.1, 0.9)).tolist()
    return _narrowed(least, most, slow / count)


def _uncensored(seconds: Seconds, ended: NDArray[np.bool_]) -> Seconds:
    """Return durations as they would be, had no attempt been stopped.

    An attempt that was stopped after t seconds would have taken longer than t: its weight is shared by those that did
    (:mod:`asyncexec.straggler.survival`); beyond the longest, it runs on (``RUNS_ON``).
    """
    if bool(ended.all()):
        return seconds
    beyond = ~ended & (seconds >= seconds[ended].max(initial=0.0))
    seconds, ended = np.where(beyond, RUNS_ON * seconds, seconds), ended | beyond
    times, shares = surviving(seconds[ended], seconds)
    count = min(max(len(seconds), _QUANTILES), _MOST_QUANTILES)
    at = (np.arange(count) + 0.5) / count
    return times[np.minimum(np.searchsorted(1.0 - shares, at), len(times) - 1)]
