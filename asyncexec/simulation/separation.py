"""Measured durations, taken apart: the share of the tasks, which comes again with every attempt, and that of chance.

The slow end decides whether a backup helps: attempts beyond twice the median of their stage. Where tasks had several
attempts, these are witnesses: if another attempt of a task whose first was slow was quick, the attempt was slow and not
the task. Where there are too few, slow attempts are taken for chance, or as the caller says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from asyncexec.errors import OptionError
from asyncexec.simulation.durations import Durations, Empirical, Mixture, Seconds
from asyncexec.simulation.noise import Noise
from asyncexec.simulation.recorded import Attempts, RecordedRun

type Slowness = Literal["auto", "attempts", "tasks"]

SLOW_FACTOR = 2.0
"""An attempt is slow beyond so many medians."""

# Fewer tasks that tell are not asked.
ENOUGH_WITNESSES = 10
_MOST_QUANTILES = 50_000
_NONE_GIVEN: Mapping[str, Durations] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredNoise(Noise):
    """Noise of which some attempts take as long as ones that were measured.

    Attributes
    ----------
    tail_share : float
        Which share of attempts does,
    tail : Durations or None
        and how long those take, unless their task takes longer by nature.
    """

    tail_share: float = 0.0
    tail: Durations | None = None

    def sample(self, random: np.random.Generator, seconds: Seconds) -> tuple[Seconds, Seconds]:
        run, fails = Noise.sample(self, random, seconds)
        if self.tail is not None:
            slow = random.random(len(seconds)) < self.tail_share
            run = np.where(slow, np.maximum(run, self.tail.sample(random, len(seconds))), run)
        return run, fails


@dataclass(frozen=True, slots=True, kw_only=True)
class Separated:
    """A stage's durations, taken apart.

    Attributes
    ----------
    durations : Durations
        What its tasks take by nature.
    noise : Noise
        What happens to attempts.
    slow_share : float
        Which share of first attempts was slow.
    witnesses : int
        How many tasks with a slow first attempt had another that shows why.
    blamed_on_attempts : float
        Which share of the slow end is laid on attempts, not on tasks.
    witnessed : bool
        Whether the witnesses showed it; else it was assumed.
    """

    durations: Durations
    noise: MeasuredNoise = MeasuredNoise()
    slow_share: float = 0.0
    witnesses: int = 0
    blamed_on_attempts: float = 0.0
    witnessed: bool = False


def separate_run(
    run: RecordedRun,
    slowness: Slowness = "auto",
    *,
    durations: Mapping[str, Durations] = _NONE_GIVEN,
) -> dict[str, Separated]:
    """Return each stage of ``run`` taken apart, by its name.

    Parameters
    ----------
    run : RecordedRun
    slowness : {"auto", "attempts", "tasks"}
        What slow attempts are laid on: what repeated attempts show (and attempts, where too few do), attempts, tasks.
    durations : mapping of stage names to Durations
        Take the place of what was measured, noise and all.

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
    for stage in run.stages:
        if stage.name in durations:
            found[stage.name] = Separated(durations=durations[stage.name])
        elif stage.measured:
            found[stage.name] = separate(stage.attempts, slowness)
        else:
            raise OptionError(
                f"the history holds no attempt of stage {stage.name!r} that succeeded, so how long its tasks take is "
                f"not known: give durations for it (--durations {stage.name}=HOW)"
            )
    return found


def separate(attempts: Attempts, slowness: Slowness = "auto") -> Separated:
    """Return one stage's attempts taken apart; at least one has succeeded."""
    hung = attempts.status == "timed out"
    failed = attempts.status == "failed"
    first = attempts.where((attempts.number == 1) & ~hung & ~failed)
    if not np.any(first.status == "succeeded"):
        first = attempts.where(attempts.status == "succeeded")
    seconds = _as_if_none_was_stopped(first.seconds, first.status == "succeeded")
    slow_from = SLOW_FACTOR * float(np.median(seconds))
    body, tail = seconds[seconds <= slow_from], seconds[seconds > slow_from]
    slow_share = len(tail) / len(seconds)
    verdicts = _verdicts(attempts, slow_from)
    witnessed = slowness == "auto" and len(verdicts) >= ENOUGH_WITNESSES
    blame = float(np.mean(verdicts)) if witnessed else float(slowness != "tasks")
    return Separated(
        durations=_nature(body, tail, (1.0 - blame) * slow_share),
        noise=MeasuredNoise(
            tail_share=blame * slow_share,
            tail=Empirical(tail) if len(tail) and blame else None,
            hang_share=float(np.mean(hung)),
            failure_share=float(np.mean(failed)),
        ),
        slow_share=slow_share,
        witnesses=len(verdicts),
        blamed_on_attempts=blame,
        witnessed=witnessed,
    )


def _nature(body: Seconds, tail: Seconds, tail_share: float) -> Durations:
    if not len(tail) or not tail_share:
        return Empirical(body)
    return Mixture(((1.0 - tail_share, Empirical(body)), (tail_share, Empirical(tail))))


def _verdicts(attempts: Attempts, slow_from: float) -> NDArray[np.bool_]:
    """Return, for each task whose first attempt was slow and that has a witness, whether that one was quick.

    A witness is another attempt that succeeded, or was slow as well by the time it was stopped.
    """
    slow = attempts.seconds > slow_from
    succeeded = attempts.status == "succeeded"
    accused = attempts.task[slow & (attempts.number == 1)]
    others = (attempts.number > 1) & np.isin(attempts.task, accused) & (slow | succeeded)
    tasks, quick = attempts.task[others], ~slow[others]
    return np.array([bool(quick[tasks == task].any()) for task in np.unique(tasks)], dtype=np.bool_)


def _as_if_none_was_stopped(seconds: Seconds, ended: NDArray[np.bool_]) -> Seconds:
    """Return durations as they would be, had nobody stopped the ones that did not end by themselves.

    What was stopped after t seconds would have taken longer than t: it counts as those that did, evenly (B. Efron,
    "The two sample problem with censored data", 1967); beyond the longest, as what it had run.
    """
    if bool(ended.all()):
        return seconds
    order = np.lexsort((~ended, seconds))
    seconds, ended = seconds[order], ended[order].copy()
    ended[-1] = True
    left = np.arange(len(seconds), 0, -1)
    survives = np.cumprod(np.where(ended, (left - 1) / left, 1.0))
    reached = 1.0 - survives[ended]
    count = min(max(len(seconds), 1000), _MOST_QUANTILES)
    at = (np.arange(count) + 0.5) / count
    places = np.minimum(np.searchsorted(reached, at), len(reached) - 1)
    found: Seconds = seconds[ended][places]
    return found
