"""Measured durations, separated into what is the task's, which every attempt meets, and what is the attempt's.

What workers did (:mod:`asyncexec.simulation.worker_causes`) is taken out first, then what the places and sizes of tasks
explain (:mod:`asyncexec.simulation.task_causes`). Of the remainder, what is slow beyond twice the ordinary may be the
attempt's doing, and then a backup helps, or the task's, and then it does not. Tasks with several attempts are
witnesses, in this run and in others of the same plan: if another attempt of a slow task was quick, the
attempt was slow and not the task. Where they are too few, both ends of what is possible are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from asyncexec.errors import OptionError
from asyncexec.plan.box import point, unravel
from asyncexec.simulation.durations import ByTask, Constant, Durations, Seconds
from asyncexec.simulation.noise import QUIET, Noise
from asyncexec.simulation.rank_tests import correlation, ranks, together
from asyncexec.simulation.recorded import RUNS_ON, Attempts, RecordedRun, RecordedStage
from asyncexec.simulation.replayed_noise import ReplayedNoise
from asyncexec.simulation.task_causes import explained
from asyncexec.simulation.worker_causes import WorkerCauses

type Slowness = Literal["auto", "attempts", "tasks"]

SLOW_FACTOR = 2.0
"""An attempt is slow beyond this multiple of what its task is expected to take."""

# Ends nearer to each other than this are one.
_NARROW = 0.35
# Where durations spread less than this, it does not matter whose doing it is.
_EVEN = 1.25
_LEAST_PAIRS = 20
_ALIKE_Z = 4.0
_QUANTILES = 1_000
_MOST_QUANTILES = 50_000
_NONE_GIVEN: Mapping[str, Durations] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Separated:
    """The durations of a stage's tasks, and the noise of its attempts."""

    durations: Durations
    """What tasks are expected to take,"""

    noise: Noise = QUIET
    """and failures and hangs of attempts."""

    rest: ReplayedNoise | None = None
    """The remainder, as for ``by_nature`` of the tasks; None where all durations are the tasks' own."""

    slow_share: float = 0.0
    """Share of first attempts that were slow."""

    witnesses: int = 0
    """Number of slow tasks with another attempt that shows whether the task is slow."""

    by_nature: tuple[float, float] = (0.0, 0.0)
    """Least and greatest share of what is slow that may be the tasks' doing, not the attempts'."""

    explained_share: float = 0.0
    """Share of the variance (of logarithms) that the places and sizes of tasks explain."""

    @property
    def blamed_on_attempts(self) -> float:
        """The share of what is slow that is attributed to attempts: between both ends."""
        return 1.0 - sum(self.by_nature) / 2.0

    @property
    def known(self) -> bool:
        """True if it is known whose doing the slow ones were."""
        return self.by_nature[0] == self.by_nature[1]

    def at(self, end: int) -> tuple[Durations, Noise]:
        """Return durations and noise, with the least (0) or the greatest (1) share by nature."""
        if self.rest is None:
            return self.durations, self.noise
        return self.rest.applied(self.durations, self.noise, by_nature=self.by_nature[end])


def separate_run(
    run: RecordedRun,
    slowness: Slowness = "auto",
    *,
    workers: WorkerCauses | None = None,
    others: Sequence[RecordedRun] = (),
    durations: Mapping[str, Durations] = _NONE_GIVEN,
) -> dict[str, Separated]:
    """Return durations and noise of each stage of ``run``, by its name.

    Parameters
    ----------
    run : RecordedRun
    slowness : {"auto", "attempts", "tasks"}
        Cause to which slow attempts are attributed; "auto": as witnesses show.
    workers : WorkerCauses, optional
        What workers did, which is taken out of the durations.
    others : sequence of RecordedRun
        Further runs of the same plan, whose tasks are witnesses.
    durations : mapping of stage names to Durations
        Replace the measured durations and noise of these stages.

    Raises
    ------
    OptionError
        If none is given for a stage of which no attempt succeeded, or one for a stage that is not there.
    """
    names = [stage.name for stage in run.stages]
    for name in durations:
        if name not in names:
            raise OptionError(
                f"durations are given for {name!r}; the stages are {', '.join(names)}"
            )
    found: dict[str, Separated] = {}
    for place, stage in enumerate(run.stages):
        if stage.name in durations:
            found[stage.name] = Separated(durations=durations[stage.name])
        elif not stage.tasks:
            found[stage.name] = Separated(durations=Constant())
        elif stage.measured:
            again = [other.stages[place] for other in others if other.stages[place].measured]
            found[stage.name] = separate(stage, slowness, workers=workers, again=again)
        else:
            raise OptionError(
                f"the history holds no attempt of stage {stage.name!r} that succeeded, so how long its tasks take is "
                f"not known: give durations for it (--durations {stage.name}=HOW)"
            )
    for one, other in _pairs(run):
        found[one], found[other] = _along(found[one], found[other])
    return found


def _pairs(run: RecordedRun) -> Iterator[tuple[str, str]]:
    """Yield stages of which each task of one reads the task of the same index of the other, and the other."""
    shapes = {stage.name: stage.shape for stage in run.stages}
    for stage in run.stages:
        ends = [unravel(place, stage.shape) for place in {0, stage.tasks - 1} if place >= 0]
        for read in stage.reads:
            if shapes[read.stage] == stage.shape and all(
                tuple(map(tuple, read.relation.reads(point(end)))) == tuple((n,) for n in end)
                for end in ends
            ):
                yield stage.name, read.stage


def _along(one: Separated, other: Separated) -> tuple[Separated, Separated]:
    """Return two stages; where the same indices are long in both, that share of what is slow is by nature in both."""
    if one.rest is None or other.rest is None:
        return one, other
    both = np.isfinite(one.rest.own) & np.isfinite(other.rest.own)
    own, others = one.rest.own[both], other.rest.own[both]
    if len(own) < _LEAST_PAIRS or together(own, others) < _ALIKE_Z:
        return one, other
    share = correlation(ranks(own), ranks(others))
    return _at_least(one, share), _at_least(other, share)


def _at_least(part: Separated, share: float) -> Separated:
    """Return a stage in which at least this share of what is slow is by nature, unless it is known already."""
    least, most = part.by_nature
    return (
        part
        if part.known
        else replace(part, by_nature=_narrowed(max(least, share), max(most, share)))
    )


def separate(
    stage: RecordedStage,
    slowness: Slowness = "auto",
    *,
    workers: WorkerCauses | None = None,
    again: Sequence[RecordedStage] = (),
) -> Separated:
    """Return durations and noise of one stage, of whose attempts at least one has succeeded."""
    workers = workers or WorkerCauses()
    attempts = stage.attempts
    hung, failed = attempts.status == "timed out", attempts.status == "failed"
    usual = attempts.where(~hung & ~failed & ~workers.is_first(attempts))
    if not usual.succeeded.any():
        usual = attempts.where(attempts.succeeded)
    seconds = usual.seconds / workers.factor(usual)
    own = _by_task(stage, usual, seconds)
    fit = explained(own, _bytes_of(stage), stage.shape)
    ratio = seconds / fit[usual.task]
    first = usual.number == 1 if (usual.succeeded & (usual.number == 1)).any() else usual.succeeded
    pool = _uncensored(ratio[first], usual.succeeded[first])
    slow_share = float(np.mean(pool > SLOW_FACTOR))
    verdicts = _verdicts(usual, ratio) | _verdicts_again(own / fit, again)
    noise = Noise(hang_share=float(np.mean(hung)), failure_share=float(np.mean(failed)))
    return Separated(
        durations=ByTask(fit),
        noise=noise,
        rest=ReplayedNoise(own=own / fit, pool=pool, verdicts=verdicts, slow_factor=SLOW_FACTOR),
        slow_share=slow_share,
        witnesses=len(verdicts),
        by_nature=_ends(slowness, list(verdicts.values()), pool),
        explained_share=_explained_share(own, fit),
    )


def _by_task(stage: RecordedStage, usual: Attempts, seconds: Seconds) -> Seconds:
    """Return the seconds of the attempt of each task that succeeded, by flat index; NaN of those without."""
    found = np.full(stage.tasks, np.inf)
    np.minimum.at(found, usual.task[usual.succeeded], seconds[usual.succeeded])
    return np.where(np.isfinite(found), found, np.nan)


def _bytes_of(stage: RecordedStage) -> NDArray[np.float64]:
    """Return the bytes that each task read and wrote; the median where that is not known."""
    found = np.zeros(stage.tasks)
    np.maximum.at(found, stage.attempts.task, stage.attempts.nbytes)
    known = found > 0
    return np.where(known, found, np.median(found[known])) if known.any() else found


def _explained_share(own: Seconds, fit: Seconds) -> float:
    known = np.isfinite(own)
    logs = np.log(own[known])
    whole = float(logs.var())
    return (
        max(0.0, 1.0 - float((logs - np.log(fit[known])).var()) / whole) if whole > 1e-12 else 0.0
    )


def _verdicts(attempts: Attempts, ratio: NDArray[np.float64]) -> dict[int, bool]:
    """Return, for tasks with a slow attempt and a witness, whether the task is slow.

    A witness is another attempt that succeeded, or that was slow as well when it was stopped.
    """
    slow = ratio > SLOW_FACTOR
    tells = slow | attempts.succeeded
    accused = attempts.task[slow & (attempts.number == 1)]
    others = (attempts.number > 1) & np.isin(attempts.task, accused) & tells
    quick = set(attempts.task[others & ~slow].tolist())
    return {task: task not in quick for task in attempts.task[others].tolist()}


def _verdicts_again(own: NDArray[np.float64], again: Sequence[RecordedStage]) -> dict[int, bool]:
    """Return the same by what the slow tasks took in other runs."""
    found: dict[int, bool] = {}
    slow = np.flatnonzero(own > SLOW_FACTOR)
    for stage in again:
        chosen = stage.attempts.where(stage.attempts.succeeded)
        seconds = _by_task(stage, chosen, chosen.seconds)
        ratio = seconds / np.nanmedian(seconds)
        for task in slow[np.isfinite(ratio[slow])].tolist():
            # Slow by the same measure: what is expected of it is in ``own`` already.
            found[task] = found.get(task, True) and bool(ratio[task] > SLOW_FACTOR)
    return found


def _ends(
    slowness: Slowness, verdicts: Sequence[bool], pool: NDArray[np.float64]
) -> tuple[float, float]:
    """Return the least and the greatest share by nature, as far as verdicts show (four in five sure)."""
    if slowness != "auto":
        share = float(slowness == "tasks")
        return share, share
    if float(pool.max()) <= SLOW_FACTOR and float(np.quantile(pool, 0.95)) < _EVEN:
        return 1.0, 1.0
    if not verdicts:
        return 0.0, 1.0
    random = np.random.default_rng(0)
    drawn = random.beta(1.0 + sum(verdicts), 1.0 + len(verdicts) - sum(verdicts), 10_000)
    least, most = np.quantile(drawn, (0.1, 0.9)).tolist()
    middle = sum(verdicts) / len(verdicts)
    return (least, most) if most - least > _NARROW else (middle, middle)


def _narrowed(least: float, most: float) -> tuple[float, float]:
    """Return two ends, or their middle twice if they are near to each other."""
    if most - least > _NARROW:
        return least, most
    middle = (least + most) / 2.0
    return middle, middle


def _uncensored(seconds: Seconds, ended: NDArray[np.bool_]) -> Seconds:
    """Return durations as they would be, had no attempt been stopped.

    An attempt that was stopped after t seconds would have taken longer than t: its weight is shared by those that did
    (B. Efron, "The two sample problem with censored data", 1967); beyond the longest, it runs on (``RUNS_ON``).
    """
    if bool(ended.all()):
        return seconds
    order = np.lexsort((~ended, seconds))
    seconds, ended = seconds[order], ended[order]
    beyond = ~ended & (seconds >= seconds[ended].max(initial=0.0))
    seconds, ended = np.where(beyond, RUNS_ON * seconds, seconds), ended | beyond
    left = np.arange(len(seconds), 0, -1)
    survives = np.cumprod(np.where(ended, (left - 1) / left, 1.0))
    reached = 1.0 - survives[ended]
    count = min(max(len(seconds), _QUANTILES), _MOST_QUANTILES)
    at = (np.arange(count) + 0.5) / count
    places = np.minimum(np.searchsorted(reached, at), len(reached) - 1)
    found: Seconds = seconds[ended][places]
    return found
