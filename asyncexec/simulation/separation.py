"""Measured durations, separated into durations of tasks, which are the same for every attempt, and noise of attempts.

Whether a backup helps depends on the slow attempts, those beyond twice the median of their stage. Tasks with several
attempts are witnesses: if another attempt of a task whose first was slow was quick, the attempt was slow and not the
task. With too few witnesses, slowness is attributed to attempts, or as the caller says.
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
"""An attempt is slow beyond this multiple of the median."""

# With fewer witnesses, their verdicts are not used.
ENOUGH_WITNESSES = 10
_MOST_QUANTILES = 50_000
_NONE_GIVEN: Mapping[str, Durations] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredNoise(Noise):
    """Noise in which the durations of some attempts are drawn from measured ones."""

    tail_share: float = 0.0
    """Share of these attempts,"""

    tail: Durations | None = None
    """and their durations, unless that of their task is longer."""

    def sample(self, random: np.random.Generator, seconds: Seconds) -> tuple[Seconds, Seconds]:
        run, fails = Noise.sample(self, random, seconds)
        if self.tail is not None:
            slow = random.random(len(seconds)) < self.tail_share
            run = np.where(slow, np.maximum(run, self.tail.sample(random, len(seconds))), run)
        return run, fails


@dataclass(frozen=True, slots=True, kw_only=True)
class Separated:
    """The durations of a stage's tasks, and the noise of its attempts."""

    durations: Durations
    noise: MeasuredNoise = MeasuredNoise()

    slow_share: float = 0.0
    """Share of first attempts that were slow."""

    witnesses: int = 0
    """Number of tasks with a slow first attempt and another that shows whether the task is slow."""

    blamed_on_attempts: float = 0.0
    """Share of slow first attempts that is attributed to attempts, not to tasks,"""

    witnessed: bool = False
    """and whether witnesses showed it; otherwise it was assumed."""


def separate_run(
    run: RecordedRun,
    slowness: Slowness = "auto",
    *,
    durations: Mapping[str, Durations] = _NONE_GIVEN,
) -> dict[str, Separated]:
    """Return durations and noise of each stage of ``run``, by its name.

    Parameters
    ----------
    run : RecordedRun
    slowness : {"auto", "attempts", "tasks"}
        Cause to which slow attempts are attributed; "auto": as witnesses show, and attempts where there are too few.
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
    """Return durations and noise of one stage's attempts, of which at least one has succeeded."""
    hung = attempts.status == "timed out"
    failed = attempts.status == "failed"
    first = attempts.where((attempts.number == 1) & ~hung & ~failed)
    if not np.any(first.status == "succeeded"):
        first = attempts.where(attempts.status == "succeeded")
    seconds = _uncensored(first.seconds, first.status == "succeeded")
    slow_from = SLOW_FACTOR * float(np.median(seconds))
    body, tail = seconds[seconds <= slow_from], seconds[seconds > slow_from]
    slow_share = len(tail) / len(seconds)
    verdicts = _verdicts(attempts, slow_from)
    witnessed = slowness == "auto" and len(verdicts) >= ENOUGH_WITNESSES
    blame = float(np.mean(verdicts)) if witnessed else float(slowness != "tasks")
    return Separated(
        durations=_task_durations(body, tail, (1.0 - blame) * slow_share),
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


def _task_durations(body: Seconds, tail: Seconds, tail_share: float) -> Durations:
    if not len(tail) or not tail_share:
        return Empirical(body)
    return Mixture(((1.0 - tail_share, Empirical(body)), (tail_share, Empirical(tail))))


def _verdicts(attempts: Attempts, slow_from: float) -> NDArray[np.bool_]:
    """Return, for each task with a slow first attempt and a witness, whether the witness was quick.

    A witness is another attempt that succeeded, or that was slow as well when it was stopped.
    """
    slow = attempts.seconds > slow_from
    succeeded = attempts.status == "succeeded"
    accused = attempts.task[slow & (attempts.number == 1)]
    others = (attempts.number > 1) & np.isin(attempts.task, accused) & (slow | succeeded)
    tasks, quick = attempts.task[others], ~slow[others]
    return np.array([bool(quick[tasks == task].any()) for task in np.unique(tasks)], dtype=np.bool_)


def _uncensored(seconds: Seconds, ended: NDArray[np.bool_]) -> Seconds:
    """Return durations as they would be, had no attempt been stopped.

    An attempt that was stopped after t seconds would have taken longer than t: its weight is shared by those that did
    (B. Efron, "The two sample problem with censored data", 1967); beyond the longest, it keeps its time.
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
