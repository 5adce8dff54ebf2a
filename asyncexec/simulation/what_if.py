"""A recorded run, simulated on other workers, at other prices, with and without backups and barriers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from asyncexec.simulation.as_json import attributes
from asyncexec.simulation.cluster import Cluster
from asyncexec.simulation.comparison import Case, Comparison, OnRun, Variant, compare
from asyncexec.simulation.durations import Durations
from asyncexec.simulation.recorded import RecordedRun
from asyncexec.simulation.separation import Separated, Slowness, separate_run


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """A recorded run, simulated on as many workers as it had, and elsewhere."""

    run: RecordedRun
    stages: Mapping[str, Separated]

    here: Comparison
    """The run on as many workers as it had, which shows how accurate the model is."""

    there: Comparison
    """The variants elsewhere; the others are compared to the first."""

    @property
    def measured_cost(self) -> float:
        """The cost of the recorded run at the prices of elsewhere, on as many workers as it had."""
        cluster, run = self.there.case.cluster, self.run
        if cluster.billed == "workers":
            billed = run.slots * cluster.billed_seconds(run.wall_seconds)
        else:
            taken = [seconds for stage in run.stages for seconds in stage.attempts.seconds]
            billed = sum(cluster.billed_seconds(float(seconds)) for seconds in taken)
        return cluster.cost(billed, run.attempts)

    @property
    def model_error(self) -> float | None:
        """The relative error of the simulated makespan (0.1: 10% too slow); None where only a part of the plan ran."""
        if not (self.run.whole and self.run.wall_seconds):
            return None
        simulated = self.here.rows[0].spread("makespan_seconds").median
        return simulated / self.run.wall_seconds - 1.0

    def as_json(self) -> dict[str, Any]:
        """Return everything in plain types."""
        names = "executor status completed resumed slots wall_seconds slot_seconds attempts backups"
        return {
            "measured": {
                "folder": str(self.run.folder),
                "cost": self.measured_cost,
                **attributes(self.run, *names.split()),
            },
            "model_error": self.model_error,
            "stages": {
                name: attributes(part, "slow_share", "witnesses", "blamed_on_attempts")
                | attributes(part.noise, "hang_share", "failure_share")
                for name, part in self.stages.items()
            },
            "here": self.here.as_json()["variants"],
        } | self.there.as_json()


def what_if(
    run: RecordedRun,
    cluster: Cluster,
    variants: Sequence[Variant],
    seeds: Sequence[int],
    *,
    slowness: Slowness = "auto",
    durations: Mapping[str, Durations] | None = None,
    retry: Any = None,
    timeout: Any = None,
    on_run: OnRun | None = None,
) -> WhatIf:
    """Return how ``run`` would go on ``cluster``, and how accurate the model is.

    Parameters
    ----------
    run : RecordedRun
    cluster : Cluster
    variants : sequence of Variant
    seeds : sequence of int
    slowness, durations
        As for :func:`asyncexec.simulation.separation.separate_run`.
    retry, timeout
        As for :meth:`asyncexec.Engine.execute`.
    on_run : callable, optional
        Called when each simulated run starts.

    Raises
    ------
    OptionError
        If a figure is out of range, or the durations of a stage are neither measured nor given.
    ExecutionError
        If a simulated run fails.
    """
    stages = separate_run(run, slowness, durations=durations or {})
    case = Case(
        plan=run.to_plan(),
        cluster=cluster,
        durations={name: part.durations for name, part in stages.items()},
        noise={name: part.noise for name, part in stages.items()},
        retry=retry,
        timeout=timeout,
    )
    as_measured = Variant("two_phase" if run.backups else "off")
    here = replace(case, cluster=Cluster(workers=run.slots))
    return WhatIf(
        run=run,
        stages=stages,
        here=compare(here, [as_measured], seeds, on_run=on_run),
        there=compare(case, variants, seeds, on_run=on_run),
    )
