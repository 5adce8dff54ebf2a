"""A recorded run, simulated on other workers, at other prices, with and without backups and barriers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from asyncexec.histories.as_json import attributes, plain
from asyncexec.histories.like_runs import like_runs
from asyncexec.histories.overheads import Overheads, overheads_of
from asyncexec.histories.pauses import Pause, without_pauses
from asyncexec.histories.recorded import RecordedRun
from asyncexec.histories.separation import Separated, Slowness, separate_run
from asyncexec.histories.worker_causes import WorkerCauses, worker_causes
from asyncexec.simulation.cluster import Cluster
from asyncexec.simulation.comparison import Case, Compared, Comparison, OnRun, Variant, compare
from asyncexec.simulation.durations import Durations
from asyncexec.simulation.measured import measured_cluster, measured_stage
from asyncexec.simulation.plans import refuse_other_stages
from asyncexec.straggler.names import RULE_NAMES

MOST_ERROR = 0.25
"""A model that is further off than this for the run as it was run says nothing of how it would go elsewhere."""

_NONE_GIVEN: Mapping[str, Durations] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """A recorded run, simulated on as many workers as it had, and elsewhere."""

    run: RecordedRun
    """The run without its pauses,"""

    as_recorded: RecordedRun
    """and with them."""

    pauses: tuple[Pause, ...] = ()
    """The times at which everything stood still."""

    stages: Mapping[str, Separated]
    workers: WorkerCauses

    overheads: Overheads
    """What the run took beside its attempts."""

    others: int = 0
    """The number of further runs of the same plan, from which tasks are known."""

    changes: Cluster
    """What was said to be different there, beside the defaults of a cluster."""

    here: Comparison
    """The run on as many workers as it had, which shows how accurate the model is."""

    there: Comparison
    """The variants elsewhere; the others are compared to the first. Where it is not known if tasks or attempts were
    slow, runs of both are in it."""

    @property
    def measured_cost(self) -> float:
        """The cost of the recorded run at the prices of elsewhere, on as many workers as it had."""
        cluster, run = self.there.case.cluster, self.as_recorded
        if cluster.billed == "workers":
            billed = run.slots * cluster.billed_seconds(run.wall_seconds)
        else:
            taken = [seconds for stage in run.stages for seconds in stage.attempts.seconds]
            billed = sum(cluster.billed_seconds(float(seconds)) for seconds in taken)
        return cluster.cost(billed, run.attempts)

    @property
    def modelled_seconds(self) -> float:
        """The simulated makespan of the run as it was run."""
        return self.here.rows[0].spread("makespan_seconds").median

    @property
    def model_error(self) -> float | None:
        """The relative error of the simulated makespan (0.1: 10% too slow); None where only a part of the plan ran."""
        if not (self.run.whole and self.run.wall_seconds):
            return None
        return self.modelled_seconds / self.run.wall_seconds - 1.0

    @property
    def refused(self) -> str:
        """The reason why nothing is promised: the model is too far off for the run as it was run; else empty."""
        error = self.model_error
        if error is None or abs(error) <= MOST_ERROR:
            return ""
        return (
            f"the model takes {self.modelled_seconds:.3g} s for the run as it was run, which took "
            f"{self.run.wall_seconds:.3g} s ({error:+.0%}); no more than {MOST_ERROR:.0%} is near enough to tell how "
            f"it would go elsewhere"
        )

    def as_json(self) -> dict[str, Any]:
        """Return everything in plain types."""
        measured = (
            "executor status completed resumed slots wall_seconds slot_seconds attempts backups"
        )
        stage = "slow_share witnesses blamed_on_attempts by_nature explained_share hang_share failure_share"
        return {
            "measured": {
                "folder": str(self.run.folder),
                "cost": self.measured_cost,
                **attributes(self.run, *measured.split()),
            },
            "model_error": self.model_error,
            "refused": self.refused or None,
            "overheads": attributes(self.overheads),
            "pauses": [attributes(pause) for pause in self.pauses],
            "workers": {
                "slowness": plain(self.workers.slowness),
                "warm_up_seconds": plain(self.workers.warm_up.tolist()),
            },
            "other_runs": self.others,
            "stages": {
                name: attributes(part, *stage.split()) for name, part in self.stages.items()
            },
            "here": self.here.as_json()["variants"],
        } | self.there.as_json()


def what_if(
    run: RecordedRun,
    changes: Mapping[str, Any],
    variants: Sequence[Variant],
    seeds: Sequence[int],
    *,
    slowness: Slowness = "auto",
    durations: Mapping[str, Durations] = _NONE_GIVEN,
    retry: Any = None,
    timeout: Any = None,
    on_run: OnRun | None = None,
) -> WhatIf:
    """Return how ``run`` would go elsewhere, and how accurate the model is.

    Parameters
    ----------
    run : RecordedRun
    changes : mapping of attributes of Cluster
        What is different there (``{"workers": 100}``); all else is as it was in the run: the number of workers,
        whether attempts can be stopped, how the speeds of workers differ, and what starting up takes.
    variants : sequence of Variant
    seeds : sequence of int
    slowness : {"auto", "attempts", "tasks"}
        Cause to which slow attempts are attributed; "auto": as witnesses show.
    durations : mapping of stage names to Durations
        Replace the measured durations and noise of these stages.
    retry, timeout
        By default the retry policy of the run. As for :meth:`asyncexec.Engine.execute`.
    on_run : callable, optional
        Called when each simulated run starts.

    Raises
    ------
    OptionError
        If a figure is out of range, or the durations of a stage are neither measured nor given.
    ExecutionError
        If a simulated run fails.
    """
    refuse_other_stages(durations, (stage.name for stage in run.stages), "durations")
    others = like_runs(run)
    as_recorded, (run, pauses) = run, without_pauses(run)
    # Cause after cause: what one explains is taken out before the next is looked for.
    workers, overheads = worker_causes(run), overheads_of(run)
    stages = separate_run(run, slowness, workers=workers, others=others, given=durations)
    measured = measured_cluster(run, workers, overheads)
    changes = {"workers": run.slots, **changes}
    case = Case(
        plan=run.to_plan(),
        cluster=Cluster(**measured),
        durations=1.0,
        retry=run.retry if retry is None else retry,
        timeout=timeout,
    )
    ends = [0] if all(part.known for part in stages.values()) else [0, 1]
    here = [_with_causes(case, stages, durations, end) for end in ends]
    there = [replace(end, cluster=Cluster(**measured | changes)) for end in here]
    return WhatIf(
        run=run,
        as_recorded=as_recorded,
        pauses=pauses,
        stages=stages,
        workers=workers,
        overheads=overheads,
        others=len(others),
        changes=Cluster(**changes),
        here=_together([compare(end, [as_it_was(run)], seeds, on_run=on_run) for end in here]),
        there=_together([compare(end, variants, seeds, on_run=on_run) for end in there]),
    )


def _with_causes(
    case: Case, stages: Mapping[str, Separated], given: Mapping[str, Durations], end: int
) -> Case:
    """Return ``case``, with what is slow attributed to attempts (end 0) or tasks (1) where that is not known."""
    models = {name: measured_stage(part, end) for name, part in stages.items()}
    durations = {name: durations for name, (durations, _) in models.items()}
    noise = {name: noise for name, (_, noise) in models.items()}
    return replace(case, durations={**durations, **given}, noise=noise)


def as_it_was(run: RecordedRun) -> Variant:
    """Return the rule and the order of stages that ``run`` had."""
    rule = run.figures.straggler
    known = rule in RULE_NAMES
    return Variant(rule if known else "two_phase" if run.backups else "off", run.figures.barriers)


def _together(ends: Sequence[Comparison]) -> Comparison:
    """Return the runs of both ends in one comparison."""
    rows = [
        Compared(parts[0].variant, tuple(run for part in parts for run in part.runs))
        for parts in zip(*(each.rows for each in ends), strict=True)
    ]
    return Comparison(ends[0].case, tuple(rows))
