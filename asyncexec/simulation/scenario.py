"""A simulation as it is asked for: a TOML file, or the same in Python.

>>> from asyncexec.simulation.scenario import Scenario
>>> scenario = Scenario.of({"plan": {"tasks": 100}, "cluster": {"workers": 10}})
>>> scenario.run().rows[0].spread("makespan_seconds").median
100.0
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from asyncexec.errors import OptionError
from asyncexec.plan.memory import parse_bytes
from asyncexec.plan.plan import Plan
from asyncexec.simulation.cluster import Cluster
from asyncexec.simulation.comparison import Case, Comparison, OnRun, Variant, compare
from asyncexec.simulation.duration_text import (
    durations_by_stage,
    durations_given,
    parse_durations,
)
from asyncexec.simulation.noise import Noise
from asyncexec.simulation.plans import plan_at, staged
from asyncexec.simulation.recorded import RecordedRun, read_run
from asyncexec.simulation.sections import one_of, read_tables, refuse_unknown, section_of
from asyncexec.simulation.separation import Slowness
from asyncexec.simulation.what_if import WhatIf, what_if
from asyncexec.straggler.names import RULE_NAMES, as_rule

_ORDERS = {"pipelined": (False,), "barriers": (True,), "both": (True, False)}
# Of the section `plan`: what another plan says itself.
_NUMBERED = ("stages", "tasks", "relation", "task_memory")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSection:
    """The section ``plan``.

    Attributes
    ----------
    path : str
        A plan by its dotted path, ``package.module:name``, which is imported only if that is allowed.
    history : str
        The folder of a recorded run.
    stages, tasks, relation
        As for :func:`asyncexec.simulation.plans.staged`, where neither of the two is given.
    task_memory : str
        What one task may hold.
    durations : tuple of str
        ``HOW`` for all stages, ``NAME=HOW`` for one.
    slow_tail : {"auto", "attempts", "tasks"}
        With a history: what attempts beyond twice the median are laid on.
    """

    path: str = ""
    history: str = ""
    stages: int = 1
    tasks: int = 1000
    relation: str = "one-to-one"
    task_memory: int | str = "0"
    durations: tuple[str, ...] = ()
    slow_tail: Slowness = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsSection:
    """The section ``runs``: what the scheduler does, and how often.

    Attributes
    ----------
    rules : tuple of str
        Straggler rules, or ``"all"``; others are compared to the first.
    order : {"pipelined", "barriers", "both"}
        By default pipelined, and both with a history.
    retry, timeout : number, optional
        As for :meth:`asyncexec.Engine.execute`.
    seeds, seed : int
        How many seeds, and the first of them.
    """

    rules: tuple[str, ...] = ("off", "two_phase")
    order: str = ""
    retry: int | None = None
    timeout: float | None = None
    seeds: int = 3
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A plan, workers, noise and runs of a simulation.

    Attributes
    ----------
    plan : PlanSection
    cluster : Cluster
    noise : Noise
    runs : RunsSection
    recorded : RecordedRun or None
        What is in the plan's history.
    """

    plan: PlanSection
    cluster: Cluster
    noise: Noise
    runs: RunsSection
    recorded: RecordedRun | None = None

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
        refuse_unknown(tables, dict.fromkeys(("plan", "cluster", "noise", "runs")), "a simulation")
        plan, noise = tables.get("plan", {}), tables.get("noise", {})
        asked = section_of(PlanSection, "plan", plan, _PLAN_PARSERS)
        one_of("plan.slow_tail", asked.slow_tail, ("auto", "attempts", "tasks"))
        refuse_twice(asked, plan, noise)
        recorded = read_run(Path(asked.history)) if asked.history else None
        runs = section_of(RunsSection, "runs", tables.get("runs", {}), {"rules": _rules})
        one_of("runs.order", runs.order or "both", tuple(_ORDERS))
        if runs.seeds < 1 or runs.seed < 0:
            raise OptionError(
                f"runs.seeds is at least 1 and runs.seed at least 0, not {runs.seeds} and {runs.seed}"
            )
        cluster = dict(tables.get("cluster", {}))
        if recorded is not None:
            cluster.setdefault("workers", recorded.slots)
        return cls(
            plan=asked,
            cluster=_cluster_of(cluster),
            noise=section_of(Noise, "noise", noise, {"factor": lambda how: parse_durations(str(how))}),
            runs=runs,
            recorded=recorded,
        )  # fmt: skip

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
                task_bytes=parse_bytes(asked.task_memory, what="plan.task_memory"),
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


def _cluster_of(table: dict[str, Any]) -> Cluster:
    """Return the workers; the scheduler knows that time is billed where attempts have a price.

    Where workers are billed whether they work or not, a backup on an idle one costs nothing.
    """
    parsers = {"memory_bytes": lambda size: parse_bytes(size, what="cluster.memory_bytes")}
    cluster = section_of(Cluster, "cluster", table, parsers)
    priced = cluster.billed == "attempts" and cluster.price_per_hour + cluster.price_per_start > 0
    if priced and "metered" not in table:
        return section_of(Cluster, "cluster", table | {"metered": True}, parsers)
    return cluster


def _rules(given: Any) -> tuple[str, ...]:
    names: list[str] = []
    for rule in [given] if isinstance(given, str) else given:
        names += RULE_NAMES if rule == "all" else (as_rule(rule).name,)
    if not names:
        raise OptionError("runs.rules names at least one straggler rule")
    return tuple(dict.fromkeys(names))


def _durations(given: Any) -> tuple[str, ...]:
    """Return durations as texts: one for all stages, several, or a table of one for each stage."""
    if isinstance(given, Mapping):
        return tuple(f"{name}={how}" for name, how in given.items())
    return tuple(map(str, given)) if isinstance(given, list | tuple) else (str(given),)


_PLAN_PARSERS = {"durations": _durations, "task_memory": lambda size: size}
