"""What can be gained where losers run on: `python -m benchmarks.stragglers.oracle [--judged | --blind] [--seeds 20]`.

Two bounds for stages of one task a slot, of which a backup can start once a first task has ended, and takes its worker
to its own end whether it wins or not:

bound
    Nobody is faster for that work. All durations, of backups too, are known before: a task has backups only if one of
    them brings its end before that of the stage, and backups are spent on those seeds where they gain most.
oracle
    It knows at once which attempts are slow, but not how their backups will fare: the longest so many tasks have a
    backup each, as soon as there are idle slots. How many is chosen for each seed by what is to be expected.

Beside them: what rules reach, and for which work.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from asyncexec.simulation import Noise, SimulatedAttempt
from asyncexec.simulation.draws import Draws
from benchmarks.stragglers.__main__ import measure
from benchmarks.stragglers.cells import Cell, cells
from benchmarks.stragglers.kind import ATTEMPTS, WORKERS

type Times = NDArray[np.float64]

_CHAIN = 4
_REDRAWN = 40
_FLAT = 1e-9


class Choice(NamedTuple):
    """What a seed can be had for: logarithms of how many times faster, and of how many times the work."""

    gain: float
    cost: float


class Sample(NamedTuple):
    """The durations of a seed: of the first attempts, shape (tasks,), and of backups, shape (tasks, _CHAIN)."""

    first: Times
    backups: Times


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.stragglers.oracle", description=__doc__
    )
    part = parser.add_mutually_exclusive_group()
    for name in ("judged", "blind"):
        part.add_argument(f"--{name}", dest="part", action="store_const", const=name)
    parser.set_defaults(part="tuned")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--most-tasks", type=int, default=100)
    parser.add_argument("--work", type=float, default=0.08, help="share of extra work")
    parser.add_argument("--rules", nargs="*", default=["late", "two_phase"])
    options = parser.parse_args(arguments)
    for cell in chosen(options.part, options.most_tasks):
        samples = [sample(cell, seed) for seed in range(options.seeds)]
        bound = best([frontier(each) for each in samples], math.log1p(options.work))
        oracle = best(
            [oracle_choices(cell, seed, samples[seed]) for seed in range(options.seeds)],
            math.log1p(options.work),
        )
        rows = measure((cell, ["off", *options.rules], options.seeds))
        told = "  ".join(
            f"{rule} {rows[rule].speedup:5.2f} {rows[rule].work - 1:+6.1%}"
            for rule in options.rules
        )
        print(f"{cell.name:55} bound {bound:5.2f}  oracle {oracle:5.2f}  {told}", flush=True)
    return 0


def chosen(part: str, most_tasks: int) -> Iterator[Cell]:
    """Yield the cases for which there are bounds, and in which backups can gain something."""
    for cell in cells(part):  # type: ignore[arg-type]  # one of the parser's own
        shape, kind = cell.shape, cell.of
        alone = shape.stages == 1 and shape.tasks == shape.slots <= most_tasks
        known = not (cell.kills or kind.slow_workers or kind.cold_start)
        if alone and known and kind.family in {ATTEMPTS, WORKERS}:
            yield cell


def sample(cell: Cell, seed: int, *, again: int = 0) -> Sample:
    """Return the durations of a seed; with ``again``, others of the backups."""
    noise = cell.of.noise
    drawn = noise if isinstance(noise, Noise) else Noise(function=noise)
    draws = Draws(seed, [cell.durations], [drawn])
    tasks = cell.shape.tasks
    take = _taking(draws, drawn, seed)
    first = np.array([take(task, 1, task, 0.0) for task in range(tasks)])
    free = np.argsort(first, kind="stable")
    begin = float(first.min())
    backups = np.array(
        [
            [
                take(task, 2 + number + again * _CHAIN, int(free[(task + number) % tasks]), begin)
                for number in range(_CHAIN)
            ]
            for task in range(tasks)
        ]
    )
    return Sample(first, backups)


def _taking(draws: Draws, noise: Noise, seed: int) -> Callable[[int, int, int, float], float]:
    def take(task: int, number: int, worker: int, at: float) -> float:
        seconds = draws.attempt(0, task, number).seconds
        if noise.function is None:
            return seconds
        return noise.function(
            SimulatedAttempt(
                stage="s0",
                task=task,
                number=number,
                worker=worker,
                host=worker,
                at=at,
                seconds=seconds,
                seed=seed,
                place=0,
            )
        )

    return take


def frontier(seed: Sample) -> list[Choice]:
    """Return what the seed can be had for by whoever knows all durations: for each end of the stage, the least work."""
    first, backups = seed
    begin, longest, work = float(first.min()), float(first.max()), float(first.sum())
    ends = begin + backups
    paid = np.cumsum(backups, axis=1)
    choices = [Choice(0.0, 0.0)]
    for end in np.unique(np.concatenate([first, ends.ravel()])).tolist():
        late = first > end
        won = ends[late] <= end
        if end >= longest or not won.any(axis=1).all():
            continue
        # The first of its backups that wins in time, and those before it.
        cost = float(paid[late, won.argmax(axis=1)].sum()) if late.any() else 0.0
        choices.append(Choice(math.log(longest / end), math.log1p(cost / work)))
    return choices


def oracle_choices(cell: Cell, seed: int, known: Sample) -> list[Choice]:
    """Return what the seed can be had for, on average, by who backs up the longest so many of its tasks."""
    first = known.first
    longest, work = np.argsort(-first, kind="stable"), float(first.sum())
    free = np.sort(first)
    again = [sample(cell, seed, again=1 + n).backups[:, 0] for n in range(_REDRAWN)]
    choices = [Choice(0.0, 0.0)]
    for count in range(1, len(first) // 2 + 1):
        some, rest = longest[:count], float(first[longest[count]])
        gains, costs = [], []
        for drawn in again:
            ends = np.minimum(first[some], free[:count] + drawn[some])
            gains.append(math.log(first[longest[0]] / max(rest, float(ends.max()))))
            costs.append(math.log1p(float(drawn[some].sum()) / work))
        choices.append(Choice(float(np.mean(gains)), float(np.mean(costs))))
        if costs[-1] > 1.0:
            break
    return choices


def best(seeds: Sequence[Sequence[Choice]], budget: float) -> float:
    """Return how many times faster the seeds can be had on average, if their work is so much more on average.

    It is the bound of Lagrange: at a price of work for which no more than the budget is bought.
    """
    low, high = 0.0, 1e3

    def value(price: float) -> float:
        bought = [max(each.gain - price * each.cost for each in choices) for choices in seeds]
        return float(np.mean(bought)) + price * budget

    # Convex in the price.
    for _ in range(200):
        third = (high - low) / 3.0
        if value(low + third) < value(high - third):
            high -= third
        else:
            low += third
        if high - low < _FLAT:
            break
    return math.exp(value((low + high) / 2.0))


if __name__ == "__main__":
    sys.exit(main())
