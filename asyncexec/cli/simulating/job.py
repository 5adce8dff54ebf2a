"""Simulates what was asked for, with a bar, and draws the pictures."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asyncexec.cli.simulating.bar import simulation_bar
from asyncexec.cli.simulating.tables import is_priced
from asyncexec.errors import BackendError, ExecutionError, MemoryBudgetError
from asyncexec.plan.plan import Plan
from asyncexec.simulation import Cluster, Noise
from asyncexec.simulation.comparison import Case, Comparison, OnRun, Variant, compare
from asyncexec.simulation.pictures import draw_curves, draw_workers, panel_of
from asyncexec.simulation.recorded import RecordedRun
from asyncexec.simulation.sensitivity import (
    SLOW_SHARES,
    against_slow_attempts,
    against_workers,
    worker_numbers,
)
from asyncexec.simulation.separation import Slowness
from asyncexec.simulation.spelling import durations_by_stage, durations_given
from asyncexec.simulation.what_if import WhatIf, what_if


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is to be done with a case.

    Attributes
    ----------
    variants : sequence of Variant
    seeds : sequence of int
    retry, timeout
        As for :meth:`asyncexec.Engine.execute`.
    picture, curves : Path or None
        Where the pictures go.
    quiet : bool
        Whether there is no bar.
    """

    variants: Sequence[Variant]
    seeds: Sequence[int]
    retry: Any
    timeout: Any
    picture: Path | None
    curves: Path | None
    quiet: bool

    def compare(
        self, plan: Plan, cluster: Cluster, durations: Sequence[str], noise: Noise
    ) -> Comparison:
        """Simulate and draw ``plan`` on ``cluster``; durations as they were typed."""
        case = Case(
            plan=plan,
            cluster=cluster,
            durations=durations_by_stage(durations, [stage.name for stage in plan.stages]),
            noise=noise,
            retry=self.retry,
            timeout=self.timeout,
        )
        with self._watched(self._runs(case.cluster)) as begins:
            told = compare(case, self.variants, self.seeds, on_run=begins)
            self._draw(case, begins)
        return told

    def what_if(
        self, run: RecordedRun, cluster: Cluster, durations: Sequence[str], slowness: Slowness
    ) -> WhatIf:
        """Simulate a recorded run where it was run and on ``cluster``; draw the latter."""
        general, by_stage = durations_given(durations, [stage.name for stage in run.stages])
        if general is not None:  # For what was not measured: else the history would be for nothing.
            unmeasured = [stage.name for stage in run.stages if not stage.measured]
            by_stage = dict.fromkeys(unmeasured, general) | by_stage
        here = len(self.seeds)
        with self._watched(here + self._runs(cluster)) as begins:
            told = what_if(
                run,
                cluster,
                self.variants,
                self.seeds,
                slowness=slowness,
                durations=by_stage,
                retry=self.retry,
                timeout=self.timeout,
                on_run=begins,
            )
            self._draw(told.there.case, begins)
        return told

    @contextmanager
    def _watched(self, runs: int) -> Generator[OnRun]:
        """Show a bar of so many runs; a run that fails on the model is told as such, with its variant and seed."""
        last = ""
        with simulation_bar(runs, quiet=self.quiet) as begins:

            def starts(variant: Variant, seed: int, share: Callable[[], float]) -> None:
                nonlocal last
                last = f"{variant}, seed {seed}"
                begins(variant, seed, share)

            try:
                yield starts
            except MemoryBudgetError as error:
                said = str(error).replace("Engine(memory=...)", "--memory")
                raise MemoryBudgetError(said) from error
            except (ExecutionError, BackendError) as error:
                raise ExecutionError(f"on these workers the run fails ({last}): {error}") from error

    def _shown(self) -> list[Variant]:
        """Return the variants in the picture of workers: the first and the last."""
        return list(dict.fromkeys((self.variants[0], self.variants[-1])))

    def _runs(self, cluster: Cluster) -> int:
        """Return how many runs there are to simulate."""
        points = 1
        if self.curves is not None:
            points += len(SLOW_SHARES) + len(worker_numbers(cluster.workers))
        shown = 0 if self.picture is None else len(self._shown())
        return points * len(self.variants) * len(self.seeds) + shown

    def _draw(self, case: Case, begins: OnRun) -> None:
        if self.picture is not None:
            panels = [
                panel_of(case, variant, self.seeds[0], on_run=begins) for variant in self._shown()
            ]
            draw_workers(self.picture, panels, [stage.name for stage in case.plan.stages])
        if self.curves is not None:
            ways = (against_workers, against_slow_attempts)
            found = [way(case, self.variants, self.seeds, on_run=begins) for way in ways]
            draw_curves(self.curves, found, priced=is_priced(case.cluster))
