"""Times at which a recorded run stood still: its machine was stopped, or all that it waited for was."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from asyncexec.histories.recorded import Attempts, RecordedRun, Seconds

_LEAST_ATTEMPTS = 3
# Of the attempts that could run at once, so many have to stand still.
_MOST_OF_THEM = 0.75
# A silence shorter than this multiple of what attempts take is not one.
_LEAST_FACTOR = 1.5
_SLOW_FACTOR = 2.0


@dataclass(frozen=True, slots=True)
class Pause:
    """A time in which nothing started or ended; times are seconds, ``at`` since the run started."""

    at: float
    seconds: float


def without_pauses(run: RecordedRun) -> tuple[RecordedRun, tuple[Pause, ...]]:
    """Return ``run`` as it would have been without its pauses, and these, in order."""
    found: list[Pause] = []
    while (pause := _pause(run)) is not None:
        found.append(pause)
        stages = [replace(s, attempts=_shortened(s.attempts, pause)) for s in run.stages]
        run = replace(run, stages=tuple(stages), wall_seconds=run.wall_seconds - pause.seconds)
    # They were found on a clock without those before them.
    found.sort(key=lambda each: each.at)
    cuts = np.cumsum([0.0, *(pause.seconds for pause in found)]).tolist()
    return run, tuple(Pause(p.at + cut, p.seconds) for p, cut in zip(found, cuts, strict=False))


def _pause(run: RecordedRun) -> Pause | None:
    """Return the longest silence of a run that is a pause, or None.

    No attempt started or ended, far longer than attempts take, while they ran on most workers; and those are the only
    slow ones. Where tasks or workers are slow, others go on meanwhile, or it is so at other times as well. As many came
    before and after: first attempts on workers take longer by themselves, and the last tasks may be the long ones.
    """
    parts = [stage.attempts for stage in run.stages if stage.measured]
    if not parts:
        return None
    every = Attempts.all_of(parts)
    usual = np.concatenate([np.full(len(p), np.median(p.seconds[p.succeeded])) for p in parts])
    times = np.sort(np.concatenate([every.started, every.ended]))
    place = int(np.argmax(np.diff(times)))
    begin, end = float(times[place]), float(times[place + 1])
    runs = (every.started <= begin) & (every.ended >= end)
    slow = every.seconds > _SLOW_FACTOR * usual
    stood_still = (
        runs.sum() >= max(_LEAST_ATTEMPTS, _MOST_OF_THEM * run.slots)
        and (every.ended <= begin).sum() >= runs.sum() <= (every.started >= end).sum()
        and end - begin > _LEAST_FACTOR * float(usual[runs].max(initial=0.0))
        and not (slow & ~runs).any()
    )
    if not stood_still:
        return None
    # Without it, they would have taken what is usual.
    return Pause(begin, min(end - begin, float(np.median((every.seconds - usual)[runs]))))


def _shortened(attempts: Attempts, pause: Pause) -> Attempts:
    def moved(times: Seconds) -> Seconds:
        return times - np.clip(times - pause.at, 0.0, pause.seconds)

    started = moved(attempts.started)
    return replace(attempts, started=started, seconds=moved(attempts.ended) - started)
