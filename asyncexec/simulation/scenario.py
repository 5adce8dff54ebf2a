"""A simulation as it is asked for: a TOML file, or the same in Python.

>>> from asyncexec.simulation.scenario import Scenario
>>> scenario = Scenario.of({"plan": {"tasks": 100}, "cluster": {"workers": 10}})
>>> scenario.run().rows[0].spread("makespan_seconds").median
100.0
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from asyncexec.config.checks import Count, CountFromZero, Seconds
from asyncexec.config.fields import check_fields, read_fields, refuse_unknown
from asyncexec.config.tables import read_tables
from asyncexec.errors import OptionError
from asyncexec.plan.memory import parse_bytes
from asyncexec.plan.plan import Plan
from asyncexec.simulation.cluster import Cluster
from asyncexec.simulation.comparison import Case, Comparison, OnRun, Variant, compare
from asyncexec.simulation.duration_text import durations_by_stage, durations_given
from asyncexec.simulation.noise import Noise
from asyncexec.simulation.plans import plan_at, staged
from asyncexec.simulation.recorded import RecordedRun, read_run
from asyncexec.simulation.separation import Slowness
from asyncexec.simulation.what_if import WhatIf, what_if
from asyncexec.straggler.names import RULE_NAMES, as_rule

_ORDERS = {"pipelined": (False,), "barriers": (True,), "both": (True, False)}
# Of the section `plan`: what another plan says itself.
_NUMBERED = ("stages", "tasks", "relation", "task_memory")


def _size(value: Any, where: str) -> int:
    return parse_bytes(value, what=where)


def _durations(given: Any, _: str) -> tuple[str, ...]:
    """Return durations as texts: one for all stages, several, or a table of one for each stage."""
    if isinstance(given, Mapping):
        return tuple(f"{name}={how}" for name, how in given.items())
    return tuple(map(str, given)) if isinstance(given, list | tuple) else (str(given),)


def _late_tasks(given: Any, where: str) -> Mapping[str, int]:
    """Return numbers of tasks by stage."""
    if not isinstance(given, Mapping) or not all(type(n) is int for n in given.values()):
        raise OptionError(
            f"{where} is a table of stages and numbers of tasks, {{fetch = 100}}, not {given!r}"
        )
    return given


def _rules(given: Any, where: str) -> tuple[str, ...]:
    rules = (given,) if isinstance(given, str) else given
    if not isinstance(rules, list | tuple) or not rules:
        raise OptionError(f"{where} names at least one straggler rule")
    named = [RULE_NAMES if rule == "all" else (as_rule(rule).name,) for rule in rules]
    return tuple(dict.fromkeys(chain(*named)))


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSection:
    """The section ``plan``; without a path or a history, a plan of :func:`asyncexec.simulation.plans.staged`."""

    path: str | None = None
    """A plan by its dotted path, ``package.module:name``, which is imported only if that is allowed."""

    history: str | None = None
    """The folder of a recorded run."""

    stages: Count = 1
    tasks: Count = 1000
    relation: str = "one-to-one"

    task_memory: Annotated[int | str, _size] = 0
    """Memory that one task may hold."""

    late_tasks: Annotated[Mapping[str, int], _late_tasks] = field(default_factory=dict[str, int])
    """As for :func:`asyncexec.simulation.simulate`, of a plan by its path."""

    durations: Annotated[tuple[str, ...], _durations] = ()
    """``HOW`` for all stages, ``NAME=HOW`` for one."""

    slow_tail: Slowness = "auto"
    """With a history: what attempts beyond twice the median are laid on."""

    def __post_init__(self) -> None:
        check_fields(self, "plan.")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsSection:
    """The section ``runs``: what the scheduler does, and how often."""

    rules: Annotated[tuple[str, ...], _rules] = ("off", "two_phase")
    """Straggler rules, or ``"all"``; others are compared to the first."""

    order: Literal["pipelined", "barriers", "both"] | None = None
    """By default pipelined, and both with a history."""

    retry: Count | None = None
    """Attempts of a task in all."""

    timeout: Seconds | None = None
    """Seconds that one attempt may take."""

    seeds: Count = 3
    """Number of seeds,"""

    seed: CountFromZero = 0
    """and the first of them."""

    def __post_init__(self) -> None:
        check_fields(self, "runs.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A plan, workers, noise and runs of a simulation."""

    plan: PlanSection
    cluster: Cluster
    noise: Noise
    runs: RunsSection

    recorded: RecordedRun | None = None
    """The run in the plan's history."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return what a TOML file asks for; raises as :meth:`of`."""
        return cls.of(read_tables(path))

    @classmethod
    def of(cls, tables: Mapping[str, Mapping[str, Any]]) -> Self:
        """Return what sections ``plan``, ``cluster``, ``noise`` and ``runs`` ask for.

        The keys of ``cluster`` and ``noise`` are those of :class:`Cluster` and :class:`Noise`.

        Raises
        ------
        OptionError
            If a section or a key is unknown, a value is out of range, or two say the same.
        """
        refuse_unknown(tables, ("plan", "cluster", "noise", "runs"), "a simulation")
        said = {name: dict(tables.get(name, {})) for name in ("plan", "cluster", "noise", "runs")}
        plan = _section(PlanSection, "plan", said)
        refuse_twice(plan, said["plan"], said["noise"])
        recorded = read_run(Path(plan.history)) if plan.history else None
        if recorded is not None:
            said["cluster"].setdefault("workers", recorded.slots)
        cluster = _section(Cluster, "cluster", said)
        if cluster.billed == "attempts" and cluster.priced:
            # Where workers are billed whether they work or not, a backup on an idle one costs nothing.
            said["cluster"].setdefault("metered", True)
            cluster = _section(Cluster, "cluster", said)
        return cls(
            plan=plan,
            cluster=cluster,
            noise=_section(Noise, "noise", said),
            runs=_section(RunsSection, "runs", said),
            recorded=recorded,
        )

    @property
    def seeds(self) -> range:
        """The seeds."""
        return range(self.runs.seed, self.runs.seed + self.runs.seeds)

    @property
    def variants(self) -> list[Variant]:
        """Each rule in each order; what comes first is what the others are compared to."""
        order = self.runs.order or ("pipelined" if self.recorded is None else "both")
        return [Variant(name, barriers) for barriers in _ORDERS[order] for name in self.runs.rules]

    @property
    def count(self) -> int:
        """The number of runs to simulate."""
        return (len(self.variants) + (self.recorded is not None)) * len(self.seeds)

    def run(
        self, *, allow_import: bool = False, on_run: OnRun | None = None
    ) -> Comparison | WhatIf:
        """Simulate it: a comparison of the variants, or with a history what would be elsewhere.

        Parameters
        ----------
        allow_import : bool
            Whether a plan by its path may be imported, which runs its module.
        on_run : callable, optional
            Called when each simulated run starts.

        Raises
        ------
        OptionError
            If the plan or its durations cannot be had.
        ExecutionError
            If a simulated run fails.
        """
        if self.recorded is not None:
            return self._elsewhere(self.recorded, on_run)
        plan = self._plan(allow_import=allow_import)
        case = Case(
            plan=plan,
            cluster=self.cluster,
            durations=durations_by_stage(self.plan.durations, [s.name for s in plan.stages]),
            noise=self.noise,
            late_tasks=self.plan.late_tasks,
            retry=self.runs.retry,
            timeout=self.runs.timeout,
        )
        return compare(case, self.variants, self.seeds, on_run=on_run)

    def _plan(self, *, allow_import: bool) -> Plan:
        asked = self.plan
        if not asked.path:
            return staged(
                asked.stages,
                asked.tasks,
                asked.relation,
                task_bytes=parse_bytes(asked.task_memory),
            )
        if not allow_import:
            raise OptionError(
                f"to take the plan {asked.path!r}, its module is run: say --allow-import (allow_import=True)"
            )
        return plan_at(asked.path)

    def _elsewhere(self, run: RecordedRun, on_run: OnRun | None) -> WhatIf:
        general, by_stage = durations_given(self.plan.durations, [s.name for s in run.stages])
        if general is not None:  # For what was not measured: else the history would be for nothing.
            unmeasured = [stage.name for stage in run.stages if not stage.measured]
            by_stage = dict.fromkeys(unmeasured, general) | by_stage
        return what_if(
            run,
            self.cluster,
            self.variants,
            self.seeds,
            slowness=self.plan.slow_tail,
            durations=by_stage,
            retry=self.runs.retry,
            timeout=self.runs.timeout,
            on_run=on_run,
        )


def refuse_twice(asked: PlanSection, plan: Mapping[str, Any], noise: Mapping[str, Any]) -> None:
    """Raise OptionError for keys that contradict another that was given, or say nothing without it."""
    numbered = [f"plan.{name}" for name in _NUMBERED if name in plan]
    if asked.history:
        beside = [
            *["plan.path"] * bool(asked.path),
            *numbered,
            *(f"noise.{name}" for name in noise),
        ]
        other = "plan.history"
    else:
        beside, other = numbered if asked.path else [], "plan.path"
        if "slow_tail" in plan:
            raise OptionError("plan.slow_tail says nothing without plan.history: give that too")
    if beside:
        raise OptionError(f"{', '.join(beside)} cannot be given with {other}, which says it")


def _section[T](kind: type[T], name: str, tables: Mapping[str, Mapping[str, Any]]) -> T:
    return read_fields(kind, tables[name], prefix=f"{name}.", section=f"the section [{name}]")
