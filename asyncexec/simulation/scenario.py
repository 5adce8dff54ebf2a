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

from asyncexec.config.checks import Count, CountFromZero, Seconds, size_or_zero
from asyncexec.config.fields import check_fields, read_fields, refuse_unknown
from asyncexec.config.tables import read_tables
from asyncexec.errors import OptionError
from asyncexec.plan.memory import parse_bytes
from asyncexec.plan.plan import Plan
from asyncexec.simulation.cluster import Cluster
from asyncexec.simulation.comparison import Case, Comparison, OnRun, Variant, compare
from asyncexec.simulation.durations import Constant, Durations, durations_given
from asyncexec.simulation.noise import Noise
from asyncexec.simulation.noise_function import noise_function
from asyncexec.simulation.plans import staged
from asyncexec.simulation.recorded import RecordedRun, read_run
from asyncexec.simulation.separation import Slowness
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
    """A plan by its path (``package.module:name``), which is imported only if that is allowed."""

    history: str | None = None
    """The folder of a recorded run."""

    stages: Count = 1
    tasks: Count = 1000
    relation: str = "one-to-one"

    task_memory: Annotated[int | str, size_or_zero] = 0
    """Memory of one task."""

    late_tasks: Annotated[Mapping[str, int], _late_tasks] = field(default_factory=dict[str, int])
    """As for :func:`asyncexec.simulation.simulate`, of a plan by its path."""

    durations: Annotated[tuple[str, ...], _durations] = ()
    """``HOW`` for all stages, ``NAME=HOW`` for one."""

    slow_tail: Slowness = "auto"
    """With a history: the cause to which attempts beyond twice the median are attributed."""

    def __post_init__(self) -> None:
        check_fields(self, "plan.")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsSection:
    """The section ``runs``: the scheduler's policies, and the number of runs."""

    rules: Annotated[tuple[str, ...], _rules] = ("off", "two_phase")
    """Straggler rules, or ``"all"``; the others are compared to the first."""

    order: Literal["pipelined", "barriers", "both"] | None = None
    """By default pipelined, and both with a history."""

    retry: Count | None = None
    """Attempts of a task in all."""

    timeout: Seconds | None = None
    """Upper bound for the time of an attempt."""

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

    noise_path: str = ""
    """A function of the noise by its path (``package.module:name``), which is imported only if that is allowed."""

    recorded: RecordedRun | None = None
    """The run in the plan's history,"""

    changes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """and what is said of the cluster, which is as it was otherwise."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the scenario in a TOML file; raises as :meth:`of`."""
        return cls.of(read_tables(path))

    @classmethod
    def of(cls, tables: Mapping[str, Mapping[str, Any]]) -> Self:
        """Return the scenario of sections ``plan``, ``cluster``, ``noise`` and ``runs``.

        The keys of ``cluster`` and ``noise`` are those of :class:`Cluster` and :class:`Noise`.

        Raises
        ------
        OptionError
            If a section or a key is unknown, a value is out of range, or two keys contradict each other.
        """
        names = ("plan", "cluster", "noise", "runs")
        refuse_unknown(tables, names, "a simulation")
        given = {name: dict(tables.get(name, {})) for name in names}
        plan = _section(PlanSection, "plan", given)
        _refuse_contradictions(plan, given["plan"], given["noise"])
        recorded = read_run(Path(plan.history)) if plan.history else None
        if recorded is not None:
            given["cluster"].setdefault("workers", recorded.slots)
        path = given["noise"].get("function")
        if isinstance(path, str):
            del given["noise"]["function"]
        cluster = _section(Cluster, "cluster", given)
        if cluster.billed == "attempts" and cluster.priced:
            # Where workers are billed whether they work or not, a backup on an idle one costs nothing.
            given["cluster"].setdefault("metered", True)
            cluster = _section(Cluster, "cluster", given)
        return cls(
            plan=plan,
            cluster=cluster,
            noise=_section(Noise, "noise", given),
            runs=_section(RunsSection, "runs", given),
            noise_path=path if isinstance(path, str) else "",
            recorded=recorded,
            changes=_changes(cluster, given["cluster"]),
        )

    @property
    def imports(self) -> tuple[str, ...]:
        """The paths of what is imported: a plan, and a function of the noise."""
        return tuple(path for path in (self.plan.path, self.noise_path) if path)

    @property
    def seeds(self) -> range:
        """The seeds."""
        return range(self.runs.seed, self.runs.seed + self.runs.seeds)

    @property
    def variants(self) -> list[Variant]:
        """Each rule in each order; the others are compared to the first."""
        order = self.runs.order or ("pipelined" if self.recorded is None else "both")
        return [Variant(name, barriers) for barriers in _ORDERS[order] for name in self.runs.rules]

    @property
    def count(self) -> int:
        """The number of runs to simulate."""
        return (len(self.variants) + (self.recorded is not None)) * len(self.seeds)

    def run(
        self,
        *,
        load: Callable[[str], Plan] | None = None,
        find: Callable[[str], object] | None = None,
        on_run: OnRun | None = None,
    ) -> Comparison | WhatIf:
        """Return a comparison of the variants, or with a history a simulation of the recorded run elsewhere.

        Parameters
        ----------
        load : callable, optional
            Returns a plan by its path, which may import and run modules; without it, such a plan is refused.
        find : callable, optional
            Returns the function of the noise by its path, likewise.
        on_run : callable, optional
            Called when each simulated run starts.

        Raises
        ------
        OptionError
            If the plan or its durations cannot be had.
        ExecutionError
            If a simulated run fails.
        """
        policies = {"retry": self.runs.retry, "timeout": self.runs.timeout}
        if self.recorded is not None:
            return what_if(
                self.recorded,
                self.changes,
                self.variants,
                self.seeds,
                slowness=self.plan.slow_tail,
                durations=self._unmeasured(self.recorded),
                on_run=on_run,
                **policies,
            )
        plan = self._plan(load)
        names = [stage.name for stage in plan.stages]
        case = Case(
            plan=plan,
            cluster=self.cluster,
            durations=_by_stage(self.plan.durations, names),
            noise=self._noise(find),
            late_tasks=self.plan.late_tasks,
            **policies,
        )
        return compare(case, self.variants, self.seeds, on_run=on_run)

    def _unmeasured(self, run: RecordedRun) -> dict[str, Durations]:
        """Return durations in place of measured ones; those for all stages are for stages without a measured one."""
        general, by_stage = durations_given(self.plan.durations, [s.name for s in run.stages])
        if general is None:
            return by_stage
        return {s.name: general for s in run.stages if not s.measured} | by_stage

    def _plan(self, load: Callable[[str], Plan] | None) -> Plan:
        asked = self.plan
        if not asked.path:
            memory = parse_bytes(asked.task_memory)
            return staged(asked.stages, asked.tasks, asked.relation, task_bytes=memory)
        return _allowed(load, "load", asked.path)(asked.path)

    def _noise(self, find: Callable[[str], object] | None) -> Noise:
        path = self.noise_path
        if not path:
            return self.noise
        found = _allowed(find, "find", path)(path)
        return replace(self.noise, function=noise_function(found, f"noise.function: {path}"))


def _allowed[T](imports: Callable[[str], T] | None, option: str, path: str) -> Callable[[str], T]:
    if imports is None:
        raise OptionError(f"to take {path!r}, its module is run: say --allow-import ({option}=...)")
    return imports


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


def _refuse_contradictions(
    asked: PlanSection, plan: Mapping[str, Any], noise: Mapping[str, Any]
) -> None:
    """Raise OptionError for keys that contradict another that was given, or have no effect without it."""
    beside = [f"plan.{name}" for name in _STAGED if name in plan]
    if asked.history:
        other = "plan.history"
        beside = ["plan.path"] * bool(asked.path) + beside + [f"noise.{name}" for name in noise]
    elif "slow_tail" in plan:
        raise OptionError("plan.slow_tail says nothing without plan.history: give that too")
    else:
        other = "plan.path"
    if beside and (asked.history or asked.path):
        raise OptionError(f"{', '.join(beside)} cannot be given with {other}, which says it")


def _changes(cluster: Cluster, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was given of a cluster, as it keeps it."""
    return {name: getattr(cluster, name) for name in given}


def _section[T](kind: type[T], name: str, tables: Mapping[str, Mapping[str, Any]]) -> T:
    return read_fields(kind, tables[name], prefix=f"{name}.", section=f"the section [{name}]")
