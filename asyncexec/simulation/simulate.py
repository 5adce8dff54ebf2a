"""Simulation of a run: the scheduler on a virtual clock, against model workers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import count
from types import MappingProxyType
from typing import Any

from asyncexec.backends.contract import Capabilities
from asyncexec.config.checks import whole_number
from asyncexec.events.fanout import Fanout
from asyncexec.events.observer import Observer
from asyncexec.plan.limit import Limit, checked_limits
from asyncexec.plan.locality import Locality
from asyncexec.plan.plan import Plan
from asyncexec.scheduler.admission import AdmissionBudget
from asyncexec.scheduler.dispatch import Dispatch
from asyncexec.scheduler.run import Run
from asyncexec.scheduler.run_handle import RunHandle
from asyncexec.scheduler.run_policies import RunPolicies
from asyncexec.scheduler.run_setup import RunSetup
from asyncexec.scheduler.run_state import RunState
from asyncexec.simulation.cluster import Cluster
from asyncexec.simulation.draws import Draws
from asyncexec.simulation.durations import AnyDurations, durations_of
from asyncexec.simulation.figures import Simulated
from asyncexec.simulation.late_tasks import sized_plan, with_late_tasks
from asyncexec.simulation.noise import QUIET, AnyNoise, noise_of
from asyncexec.simulation.plans import refuse_other_stages
from asyncexec.simulation.virtual_backend import VirtualBackend
from asyncexec.straggler.task_sizes import SizedIO

_NO_TASKS: Mapping[str, int] = MappingProxyType({})
_NO_SIZES: Mapping[str, SizedIO] = MappingProxyType({})


def simulate(
    plan: Plan,
    cluster: Cluster | None = None,
    *,
    durations: AnyDurations = 1.0,
    noise: AnyNoise = QUIET,
    sizes: Mapping[str, SizedIO] = _NO_SIZES,
    late_tasks: Mapping[str, int] = _NO_TASKS,
    limits: Mapping[str, Limit] | None = None,
    straggler: Any = None,
    barriers: bool = False,
    retry: Any = None,
    timeout: Any = None,
    seed: int = 0,
    bars: bool = False,
    backend: Callable[..., VirtualBackend] = VirtualBackend,
    observers: Iterable[Observer] = (),
    on_start: Callable[[Callable[[], float]], object] | None = None,
    on_event: Callable[[Run, float], object] | None = None,
) -> Simulated:
    """Return how a run of ``plan`` would go on ``cluster``, decided by the scheduler that runs plans.

    >>> from asyncexec.simulation import Cluster, simulate
    >>> plan = ax.Plan.map(abs, range(100)).reduce(sum)
    >>> run = simulate(plan, Cluster(workers=10), durations={"abs": 6.0, "sum": 30.0})
    >>> run.makespan_seconds, run.attempts
    (90.0, 101)

    Parameters
    ----------
    plan : Plan
        Its kernels are not called.
    cluster : Cluster, optional
        By default 100 workers of one speed.
    durations : Durations, str, float, or mapping of stage names to one
        Durations of tasks without noise; a number is seconds, the same for all.
    noise : Noise, NoiseFunction, or mapping of stage names to either
        Differences between attempts; none in a stage that the mapping does not name. A function is called with each
        attempt that starts, and returns the seconds that it takes.
    sizes : mapping of str to SizedIO
        The bytes that each task reads and writes, by the names of stages, as stored chunks have them: the scheduler
        knows them; durations do not follow them by themselves. Objects with a method ``nbytes(index)``.
    late_tasks : mapping of str to int
        Numbers of tasks of the stages whose size a run learns from the value of another stage.
    limits : mapping of str to Limit, optional
        As for :class:`asyncexec.Engine`.
    straggler, barriers, retry, timeout
        As for :meth:`asyncexec.Engine.execute`.
    seed : int
        The same seed gives the same result.
    bars : bool
        Whether to keep every attempt, for a picture.
    backend : callable, optional
        Makes what takes the place of the backend: :class:`VirtualBackend`, or a class derived from it.
    observers : iterable of observers
        Receive the events of attempts, as in a real run; times are those of the simulation. They take their time.
    on_start : callable, optional
        Called before the clock starts, with a function that returns (in any thread, at any time) the share of all tasks
        that is complete.
    on_event : callable, optional
        Called with the scheduler's run, to look at, and the time, whenever anything may have changed.

    Raises
    ------
    OptionError
        If a figure is out of range, the durations of a stage or its number of tasks are not given, or sizes are those
        of a stage that is not there.
    ExecutionError
        If the simulated run fails.
    """
    cluster = cluster or Cluster()
    seed = whole_number(seed, "simulation: seed", least=0)
    plan = with_late_tasks(plan, late_tasks)
    names = [stage.name for stage in plan.stages]
    refuse_other_stages(sizes, names, "simulation: sizes")
    whole = sized_plan(plan)
    draws = Draws(
        seed, [durations_of(n, durations) for n in names], [noise_of(n, noise) for n in names]
    )
    fanout = Fanout(observers)
    host = backend(plan, cluster, draws, seed=seed, bars=bars)
    policies = RunPolicies.of(retry=retry, timeout=timeout, straggler=straggler, barriers=barriers)
    budget = AdmissionBudget(cluster.memory_bytes, cluster.all_resources, checked_limits(limits))
    budget.check(plan)
    capabilities = _capabilities(cluster)
    setup = RunSetup(
        # Without outputs to return: a simulation has no values to keep.
        plan=Plan(plan.stages, plan.name, ()),
        name="simulation",
        policies=policies,
        capabilities=capabilities,
        slots=host.slots,
        sizes=sizes,
    )
    state, watched = RunState(setup), bool(fanout)
    run = Run("simulation", state, budget, capabilities, ids=count(1), watched=watched, seed=seed)
    dispatch = host.dispatch = Dispatch(
        budget,
        slots=host.slots,
        send=host.send,
        withdraw=host.withdraw,
        cancel=host.cancel,
        size=host.size,
        avoid=host.avoid if cluster.avoids else None,
    )
    if on_event is not None:
        host.watch = partial(on_event, run)
    handle = RunHandle(0, run, fanout)
    if on_start is not None:
        on_start(lambda: _total(run, "completed") / whole.tasks if whole.tasks else 1.0)
    start = time.perf_counter()
    dispatch.add(handle, 0.0)
    host.run(handle.finished.is_set)
    seconds = time.perf_counter() - start
    host.close()
    if run.error is not None:
        raise run.error
    # A start and an end of each attempt, and everything else that woke the scheduler.
    events = host.events + host.trace.attempts
    return Simulated(
        plan=whole.name,
        tasks=whole.tasks,
        makespan_seconds=host.now + cluster.tail_seconds,
        ideal_seconds=draws.ideal_seconds(whole, host.natural_slowness),
        backups=_total(run, "backups"),
        useful_backups=sum(stage.running.monitor.won_backups for stage in run.stages),
        retries=_total(run, "retries"),
        slow_workers=len(run.slow_workers.found),
        events=events,
        events_per_second=events / seconds if seconds else 0.0,
        seconds=seconds,
        peak_bytes=budget.peak_bytes,
        seed=seed,
        **host.trace.sums(),
    )


def _capabilities(cluster: Cluster) -> Capabilities:
    return Capabilities(
        name="simulation",
        kills=cluster.kills,
        isolated=True,
        locality=Locality.SAME_PROCESS,
        metered=cluster.metered,
    )


def _total(run: Run, figure: str) -> int:
    return sum(getattr(stage.figures, figure) for stage in run.stages)
