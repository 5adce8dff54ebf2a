"""A simulation described by tables, as in a TOML file.

>>> from asyncexec.simulation.scenario import Scenario
>>> scenario = Scenario.of({"plan": {"tasks": 100}, "cluster": {"workers": 10}})
>>> scenario.run().rows[0].spread("makespan_seconds").median
100.0
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from asyncexec.config.checks import Count, CountFromZero, Seconds, mapping, size_or_zero
from asyncexec.config.fields import check_fields, read_fields, refuse_unknown
from asyncexec.errors import OptionError
from asyncexec.histories import RecordedRun, read_run
from asyncexec.histories.separation import Slowness
from asyncexec.plan.memory import parse_bytes
from asyncexec.plan.plan import Plan
from asyncexec.simulation.cluster import Cluster
from asyncexec.simulation.comparison import Case, Comparison, OnRun, Variant, compare
from asyncexec.simulation.durations import Constant, Durations, durations_given
from asyncexec.simulation.noise import Noise
from asyncexec.simulation.plans import staged
from asyncexec.simulation.what_if import WhatIf, what_if
from asyncexec.straggler.names import RULE_NAMES, as_rule

_ORDERS = {"pipelined": (False,), "barriers": (True,), "both": (True, False)}
# Keys of the section `plan` that a plan by its path, or a history, decides itself.
_STAGED = ("stages", "tasks", "relation", "task_memory")


def _durations(given: Any, _: str) -> tuple[str, ...]:
    """Return durations as texts: one for all stages, several, or a table of one for each stage."""
    if isinstance(given, Mapping):
        return tuple(f"{name}={how}" for name, how in given.items())
    return tuple(map(str, given)) if isinstance(given, list | tuple) else (str(given),)


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
    """A plan by its path (``package.module:name``), which is imported only if that is allowed."""

    history: str | None = None
    """A run recorded by ax.History: its plan, and durations."""

    stages: Count = 1
    """Number of stages; each reads the one before."""

    tasks: Count = 1000
    """Number of tasks of the first stage."""

    relation: str = "one-to-one"
    """What tasks read of the stage before: one-to-one, all, reduce:WIDTH or window:REACH."""

    task_memory: Annotated[int | str, size_or_zero] = 0
    """Memory of one task."""

    late_tasks: Annotated[Mapping[str, int], mapping] = field(default_factory=dict[str, int])
    """Of a plan by its path: numbers of tasks of the stages whose size only a run finds out (``{fetch = 100}``)."""

    durations: Annotated[tuple[str, ...], _durations] = ()
    """Durations of tasks (constant:10): lognormal:10,0.6, pareto:1,1.5,100, empirical:RUN, …; NAME=HOW for one stage.
    May be given several times; in a file as a list, or as a table of stages ({load = 20, mean = 5})."""

    slow_tail: Slowness = "auto"
    """With a history: the cause to which attempts beyond twice what was expected are attributed: ``attempts``, which
    backups help, or ``tasks``, which they do not; with ``auto`` as tasks with several attempts show, and both where
    these are few."""

    def __post_init__(self) -> None:
        check_fields(self, "plan.")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsSection:
    """The section ``runs``: the scheduler's policies, and the number of runs."""

    rules: Annotated[tuple[str, ...], _rules] = ("off", "two_phase")
    """A straggler rule: off, cubed, spark, late, two_phase, or all. May be given several times; the others are compared
    to the first."""

    order: Literal["pipelined", "barriers", "both"] | None = None
    """Whether stages wait for each other (``barriers``); by default ``pipelined``, and ``both`` with a history."""

    retry: Count | None = None
    """Attempts of a task in all."""

    timeout: Seconds | None = None
    """Upper bound for the time of an attempt."""

    seeds: Count = 3
    """Number of seeds; all is simulated with each."""

    seed: CountFromZero = 0
    """The first seed; the same seed gives the same result."""

    def __post_init__(self) -> None:
        check_fields(self, "runs.")


SECTIONS = {"plan": PlanSection, "cluster": Cluster, "noise": Noise, "runs": RunsSection}
"""The sections of a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A case to simulate, or a recorded run elsewhere, and the policies."""

    plan: PlanSection
    runs: RunsSection

    source: Case | RecordedRun
    """A case, or the run in the history,"""

    changes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """and what is said of its cluster, which is as it was otherwise."""

    @classmethod
    def of(
        cls,
        tables: Mapping[str, Mapping[str, Any]],
        *,
        load: Callable[[str], Plan] | None = None,
        find: Callable[[str], object] | None = None,
    ) -> Self:
        """Return the scenario of sections ``plan``, ``cluster``, ``noise`` and ``runs``.

        The keys of ``cluster`` and ``noise`` are those of :class:`Cluster` and :class:`Noise`.

        Parameters
        ----------
        tables : mapping
        load : callable, optional
            Returns a plan by its path, which may import and run modules; without it, such a plan is refused.
        find : callable, optional
            Returns the function of the noise by its path, likewise.

        Raises
        ------
        OptionError
            If a section or a key is unknown, a value is out of range, or two keys contradict each other.
        """
        refuse_unknown(tables, SECTIONS, "a simulation")
        given = {name: dict(tables.get(name, {})) for name in SECTIONS}
        asked = _section(PlanSection, "plan", given)
        _refuse_contradictions(given["plan"], given["noise"])
        runs = _section(RunsSection, "runs", given)
        recorded = read_run(Path(asked.history)) if asked.history else None
        if recorded is not None:
            given["cluster"].setdefault("workers", recorded.slots)
        cluster = _section(Cluster, "cluster", given)
        if cluster.billed == "attempts" and cluster.priced:
            # Where workers are billed whether they work or not, a backup on an idle one costs nothing.
            metered = given["cluster"].setdefault("metered", True)
            cluster = replace(cluster, metered=metered)
        if isinstance(path := given["noise"].get("function"), str):
            given["noise"]["function"] = _imported(find, "find", path)
        noise = _section(Noise, "noise", given)
        if recorded is not None:
            changes = {name: getattr(cluster, name) for name in given["cluster"]}
            return cls(plan=asked, runs=runs, source=recorded, changes=changes)
        if asked.path:
            plan = _imported(load, "load", asked.path)
        else:
            memory = parse_bytes(asked.task_memory)
            plan = staged(asked.stages, asked.tasks, asked.relation, task_bytes=memory)
        case = Case(
            plan=plan,
            cluster=cluster,
            durations=_by_stage(asked.durations, [stage.name for stage in plan.stages]),
            noise=noise,
            late_tasks=asked.late_tasks,
            retry=runs.retry,
            timeout=runs.timeout,
        )
        return cls(plan=asked, runs=runs, source=case)

    @property
    def seeds(self) -> range:
        """The seeds."""
        return range(self.runs.seed, self.runs.seed + self.runs.seeds)

    @property
    def variants(self) -> list[Variant]:
        """Each rule in each order; the others are compared to the first."""
        order = self.runs.order or ("pipelined" if isinstance(self.source, Case) else "both")
        return [Variant(name, barriers) for barriers in _ORDERS[order] for name in self.runs.rules]

    @property
    def count(self) -> int:
        """The number of runs to simulate."""
        return (len(self.variants) + isinstance(self.source, RecordedRun)) * len(self.seeds)

    def run(self, on_run: OnRun | None = None) -> Comparison | WhatIf:
        """Return a comparison of the variants, or with a history a simulation of the recorded run elsewhere.

        ``on_run`` is called when each simulated run starts.

        Raises
        ------
        OptionError
            If durations are not given that are needed.
        ExecutionError
            If a simulated run fails.
        """
        if isinstance(self.source, Case):
            return compare(self.source, self.variants, self.seeds, on_run=on_run)
        run = self.source
        general, durations = durations_given(self.plan.durations, [s.name for s in run.stages])
        if general is not None:  # Those for all stages are for stages without measured ones.
            durations = {s.name: general for s in run.stages if not s.measured} | durations
        return what_if(
            run,
            self.changes,
            self.variants,
            self.seeds,
            slowness=self.plan.slow_tail,
            durations=durations,
            retry=self.runs.retry,
            timeout=self.runs.timeout,
            on_run=on_run,
        )


def _section[T](kind: type[T], name: str, tables: Mapping[str, Mapping[str, Any]]) -> T:
    return read_fields(kind, tables[name], prefix=f"{name}.", section=f"the section [{name}]")


def _imported[T](imports: Callable[[str], T] | None, option: str, path: str) -> T:
    if imports is None:
        raise OptionError(f"to take {path!r}, its module is run: say --allow-import ({option}=...)")
    return imports(path)


def _by_stage(texts: tuple[str, ...], names: list[str]) -> Durations | dict[str, Durations]:
    """Return the durations of a plan's tasks: one for all stages, or stage by stage."""
    general, by_stage = durations_given(texts, names)
    if not by_stage:
        return general or Constant(10.0)
    if general is None and (missing := [name for name in names if name not in by_stage]):
        raise OptionError(
            f"no durations are given for stage {missing[0]!r}: give {missing[0]}=HOW, or HOW for all others"
        )
    return {name: by_stage.get(name) or general or Constant(10.0) for name in names}


def _refuse_contradictions(plan: Mapping[str, Any], noise: Mapping[str, Any]) -> None:
    """Raise OptionError for keys that contradict another that was given, or have no effect without it."""
    others = [f"plan.{name}" for name in _STAGED if name in plan]
    decides = "plan.path" if plan.get("path") else ""
    if plan.get("history"):
        others = ["plan.path"] * bool(decides) + others + [f"noise.{name}" for name in noise]
        others += ["plan.late_tasks"] * ("late_tasks" in plan)
        decides = "plan.history"
    elif "slow_tail" in plan:
        raise OptionError("plan.slow_tail says nothing without plan.history: give that too")
    if others and decides:
        raise OptionError(f"{', '.join(others)} cannot be given with {decides}, which says it")
