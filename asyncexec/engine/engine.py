"""The engine: one backend, one memory budget, any number of executions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, Self, Unpack

from asyncexec.backends.registry import make_backend, option_names
from asyncexec.cluster_memory.settings import MemorySettings
from asyncexec.config.checks import amounts
from asyncexec.engine.engine_life import EngineLife
from asyncexec.engine.engine_parts import EngineParts
from asyncexec.engine.event_stream import stream_events
from asyncexec.engine.execution import Execution
from asyncexec.engine.executor_options import apply_options, split_options
from asyncexec.engine.intermediates import Intermediates
from asyncexec.engine.machine_memory import budget_bytes
from asyncexec.engine.plannable import as_plan, not_plannable
from asyncexec.engine.result_stream import outlet_of, stream_values
from asyncexec.engine.run_memory import EngineMemory, storage_entries
from asyncexec.engine.run_options import (
    RunOptions,
    SharedOptions,
    check_engine_options,
    policy_options,
)
from asyncexec.errors import EngineClosedError
from asyncexec.events.fanout import Fanout, as_observers
from asyncexec.events.records import AnyEvent
from asyncexec.plan.item_stream import claim_items
from asyncexec.plan.limit import Limit, checked_limits
from asyncexec.plan.plan import Plan, Plannable
from asyncexec.scheduler.admission import AdmissionBudget, check_workers
from asyncexec.scheduler.run_policies import RunPolicies
from asyncexec.straggler.duration_history import DurationHistory

if TYPE_CHECKING:
    import os

    from asyncexec.artifacts.settings import ArtifactStorage
    from asyncexec.backends.contract import Backend
    from asyncexec.cluster_memory.handle import ClusterMemory
    from asyncexec.config.configuration import ConfigLike, Configuration
    from asyncexec.engine.result import Result
    from asyncexec.engine.run_options import AnyObserver
    from asyncexec.engine.run_scope import ScopeEntry
    from asyncexec.policies.retry import Retry
    from asyncexec.policies.timeout import Timeout
    from asyncexec.scheduler.outlet import Outlet
    from asyncexec.straggler.rule import Rule


class Engine:
    """Runs plans on a backend; an async context manager for one event loop.

    >>> engine = ax.Engine(executor="threads", executor_options={"max_workers": 2}, memory="1GB", retry=2)
    >>> async with engine:
    ...     first = await engine.execute(ax.Plan.map(abs, [-1, 2]))
    ...     second = await engine.execute(xp.arange(3) * 10)
    >>> first.value, second.value
    ([1, 2], array([ 0, 10, 20]))
    >>> ax.Engine(executor="threads", executor_options={"max_worker": 2})
    Traceback (most recent call last):
        ...
    OptionError: executor 'threads' has no option 'max_worker' (did you mean 'max_workers'?). ...

    Parameters
    ----------
    executor : str, class, instance or dotted path
        The backend that plans run on: its name (``"threads"``, ``"processes"``, ``"asyncio"``, ``"futures"``, or one
        that a package registered), class, instance or dotted path.
    executor_options : mapping, optional
        The backend's options, by name. ``retries``, ``timeout``, ``use_backups``, ``batch_size`` (tasks in flight) and
        ``compute_arrays_in_parallel`` are taken on every executor, and mean what they mean to Cubed's; an argument of
        the engine's own takes precedence over them.
    memory : int or str, optional
        The projected memory that all tasks in flight may have, together with the intermediate chunks that are kept in
        memory, in bytes (or ``"8GB"``). By default 80% of this machine's memory for backends that run on it, and no
        limit for others; no more than a backend's own budget.
    value_memory : int or str, optional
        The bytes of values that may stay in memory near the workers. Beyond it they go to disk where the backend can
        choose, or tasks that only add to them wait. By default 20% of this machine's memory, as above.
    resources : mapping of str to float, optional
        Named resources that stages may request (``{"gpus": 2}``), in addition to those that the backend declares.
    limits : mapping of str to Limit, optional
        Limits of attempts at once, and of starts in a second, by label, for all stages with that label together.
    retry : Retry, int or bool, optional
    timeout : Timeout or float, optional
    straggler : Rule, str or bool, optional
        Policies of every execution that does not have its own; see :meth:`execute`.
    barriers : bool
        Whether a stage waits until those it reads are complete, instead of starting chunk by chunk (the default).
    observers : iterable of Observer or callable
        Receive the events of every execution.
    cluster_memory : MemorySettings or mapping, optional
        The memory that tasks share: the fields of :class:`asyncexec.cluster_memory.MemorySettings`.
    object_store : ArtifactStorage or mapping, optional
        The place of artifacts: the fields of :class:`asyncexec.artifacts.ArtifactStorage`.
    **shared
        Options of every run; see :class:`~asyncexec.engine.run_options.SharedOptions`.

    Raises
    ------
    ConfigurationError
        If an option is unknown or out of range, or the executor's dependencies are missing.
    """

    def __init__(
        self,
        executor: str | type[Backend] | Backend = "threads",
        *,
        executor_options: Mapping[str, Any] | None = None,
        memory: int | str | None = None,
        value_memory: int | str | None = None,
        resources: Mapping[str, float] | None = None,
        limits: Mapping[str, Limit] | None = None,
        retry: Retry | int | bool | None = None,
        timeout: Timeout | float | None = None,
        straggler: Rule | str | bool | None = None,
        barriers: bool | None = None,
        observers: Iterable[AnyObserver] = (),
        cluster_memory: MemorySettings | Mapping[str, Any] | None = None,
        object_store: ArtifactStorage | Mapping[str, Any] | None = None,
        **shared: Unpack[SharedOptions],
    ) -> None:
        check_engine_options(shared, executor, f"{type(self).__name__}()")
        name = executor if isinstance(executor, str) else getattr(executor, "__name__", "executor")
        takes = option_names(executor) if executor_options else frozenset[str]()
        for_backend, for_runs = split_options(executor_options, takes, name)
        self.backend = make_backend(executor, for_backend)
        policies = apply_options(RunPolicies.of(), for_runs, name)
        self._policies = policies.override(**policy_options(shared)).override(
            retry=retry, timeout=timeout, straggler=straggler, barriers=barriers
        )
        self._observers = as_observers(observers)
        budgets = budget_bytes(memory, value_memory, self.backend.capabilities)
        self._budget = AdmissionBudget(
            budgets.tasks,
            None if resources is None else amounts(resources, "resources"),
            checked_limits(limits),
            value_bytes=budgets.values,
            values_share_memory=self.backend.capabilities.locality.on_this_host,
        )
        settings = MemorySettings.of(cluster_memory)
        self._memory = EngineMemory(settings, self.backend, self._policies)
        self.scope_entries: dict[str, ScopeEntry] = storage_entries(object_store)
        """What tasks find in the ``extras`` of their context, made for each run; for code of the engine's own."""
        self._parts = EngineParts(
            backend=self.backend,
            slots=lambda: self.backend.slots,
            budget=self._budget,
            intermediates=Intermediates(self._budget),
            history=DurationHistory(),
            memory=self._memory,
            scope_entries=self.scope_entries,
        )
        self.configuration: Configuration | None = None
        """The configuration that the engine was made of, if it was made of one."""
        self._life = EngineLife(self._parts)
        self._context: Mapping[str, Any] = {}
        self._numbers = count(1)

    @classmethod
    def from_config(
        cls,
        source: ConfigLike | None = None,
        *,
        overrides: Iterable[str] = (),
        env_file: str | os.PathLike[str] | None = None,
        observers: Iterable[AnyObserver] = (),
    ) -> Self:
        """Return the engine that a configuration asks for; needs the extra ``config``.

        >>> config = {"services": {"compute": {"executor": {"target": "threads", "max_workers": 2}}}}
        >>> ax.Engine.from_config(config, overrides=["engine.memory=1GB"])
        <Engine on 'threads': closed>
        >>> ax.Engine.from_config(config, overrides=["engine.memoy=1GB"])
        Traceback (most recent call last):
            ...
        SettingsError: -o engine.memoy: there is no key 'memoy' in engine: did you mean 'memory'? ...

        Parameters
        ----------
        source : path, mapping, Settings or Configuration, optional
            A YAML file, or what such a file holds.
        overrides : iterable of str
            ``"services.compute.executor.cpus=4"``; they count more than everything else.
        env_file : path, optional
            A dotenv file; it counts more than ``source``, and less than the environment (``ASYNCEXEC__…``).
        observers : iterable of Observer or callable
            Receive the events of every execution.

        Raises
        ------
        SettingsError
            With all that is wrong, each with its file and line.
        """
        from asyncexec.engine.configured import configure  # noqa: PLC0415 - few engines are made so

        configured = configure(source, overrides=overrides, env_file=env_file)
        engine = cls(**configured.arguments, observers=(*observers, *configured.observers))
        engine.configuration = configured.configuration
        engine._life.attached = configured.observers
        engine._context = configured.context
        return engine

    async def __aenter__(self) -> Self:
        await self._life.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._life.close()

    async def execute(self, plan: Plan | Plannable, **options: Unpack[RunOptions]) -> Result:
        """Run ``plan`` to its end and return its result; cancelling this call stops the work itself.

        >>> async with ax.Engine() as engine:
        ...     result = await engine.execute(xp.mean(xp.arange(10, chunks=5)), timeout=60.0, retry=3)
        >>> result.value, result.tasks
        (array(4.5), 3)
        >>> async with ax.Engine() as engine:
        ...     await engine.execute(ax.Plan.map(int, ["1", "one"], name="parse"), retry=False)
        Traceback (most recent call last):
            ...
        TaskFailedError: plan 'parse', stage 'parse' (map), task (1,), attempt 1, worker ...: ValueError: ...

        Parameters
        ----------
        plan : Plan, or anything with ``to_plan()``
        **options
            See :class:`asyncexec.engine.run_options.RunOptions`.

        Raises
        ------
        PlanError, ConfigurationError, StorageError, SerializationError
            Before anything runs.
        ExecutionError
            If the run fails; a ``TaskError`` names plan, stage, task, attempt and worker.
        BackendError
            If the backend itself breaks.
        """
        await self._life.turn()
        return await self.start(plan, **options)

    def start(self, plan: Plan | Plannable, **options: Unpack[RunOptions]) -> Execution:
        """Start running ``plan``, and return the execution; arguments as for :meth:`execute`.

        What is no plan yet, an array say, is made into one in a thread, so that the event loop is not held; what is
        wrong with it is raised where the execution is awaited.

        >>> async with ax.Engine() as engine:
        ...     execution = engine.start(ax.Plan.map(abs, range(-3, 0)))
        ...     result = await execution
        >>> execution.done, result.value
        (True, [3, 2, 1])
        """
        if not isinstance(plan, Plannable):
            raise not_plannable(plan)
        return self._begin(plan, options)

    def results(
        self,
        plan: Plan | Plannable,
        *,
        ordered: bool = True,
        buffer: int | None = None,
        **options: Unpack[RunOptions],
    ) -> AsyncIterator[Any]:
        """Run ``plan`` and yield its values as tasks complete; other arguments as for :meth:`execute`.

        The run is slowed by a loop that is slower. Leaving the loop early stops the work. A failure is raised after the
        values that came before it. Of an input without end, no more is kept than is being worked on.

        >>> import itertools
        >>> squares = []
        >>> async with ax.Engine(executor="threads") as engine:
        ...     async for value in engine.results(ax.Plan.map(lambda x: x * x, itertools.count())):
        ...         if value > 30:
        ...             break
        ...         squares.append(value)
        >>> squares
        [0, 1, 4, 9, 16, 25]

        Parameters
        ----------
        plan : Plan, or anything with ``to_plan()``
            It has one result, of values; for one that is no list, that value is yielded.
        ordered : bool
            Whether values come in the order of the items, instead of as they are there.
        buffer : int, optional
            The most tasks that have begun and whose value was not yielded; by default what keeps the executor busy.
        **options
            See :class:`asyncexec.engine.run_options.RunOptions`.
        """

        async def start() -> tuple[Execution, Outlet]:
            self._life.check_open()
            planned = plan
            if not isinstance(plan, Plan):
                call = self._life.threads.lane().call(partial(as_plan, plan))
                await call.done.wait()
                planned = call.result(f"the planning of {type(plan).__name__}")
            narrowed, outlet = outlet_of(as_plan(planned), ordered=ordered, buffer=buffer)
            return self._begin(narrowed, options, outlet), outlet

        return stream_values(start)

    def _begin(
        self, plan: Plan | Plannable, options: RunOptions, outlet: Outlet | None = None
    ) -> Execution:
        self._life.check_open()
        policies = self._policies.override(**policy_options(options))
        observers = as_observers(options.get("observers"))
        self._budget.provide(self.backend.capabilities.resources)
        make = partial(self._made, plan, policies)
        execution = Execution(
            self._parts,
            number=next(self._numbers),
            # A plan is checked at once; what has yet to be made into one, in a thread, as that may take long.
            plan=make() if isinstance(plan, Plan) else make,
            policies=policies,
            outlet=outlet,
            fanout=Fanout((*self._observers, *observers)),
            threads=self._life.threads,
        )
        self._life.begin(execution)
        return execution

    def _made(self, plan: Plan | Plannable, policies: RunPolicies) -> Plan:
        """Return the plan that runs, with the context that the engine adds, after checking that it could."""
        planned = as_plan(plan)
        missing = self._context.keys() - planned.context.keys()
        planned = planned.with_context(**{name: self._context[name] for name in missing})
        for stage in planned.stages:
            policies.for_stage(stage)  # so that a wrong override is an error here
        self._budget.check(planned)
        check_workers(planned, self.backend.capabilities)
        claim_items(planned.stages, planned.name, resume=policies.resume)
        return planned

    def stream(
        self, plan: Plan | Plannable, **options: Unpack[RunOptions]
    ) -> AsyncIterator[AnyEvent]:
        """Run ``plan`` and yield its events as they happen; arguments as for :meth:`execute`.

        The run's exception is raised after its last event. Leaving the loop early stops the work. The buffer is
        unbounded: a consumer that is slower than the run does not slow it.

        >>> kinds = []
        >>> async with ax.Engine(executor="serial") as engine:
        ...     async for event in engine.stream(ax.Plan.map(abs, [-1, 2])):
        ...         kinds.append(type(event).__name__)
        >>> kinds[0], kinds.count("TaskSucceeded"), kinds[-1]
        ('PlanStarted', 2, 'PlanSucceeded')
        """
        return stream_events(partial(self.start, plan), options)

    @property
    def cluster_memory(self) -> ClusterMemory:
        """The memory that the tasks of all runs share, with ``cluster_memory={"lifetime": "engine"}``.

        >>> def double(_):
        ...     return 2 * ax.get_cluster_memory().sync.get("number")
        >>> async with ax.Engine(cluster_memory={"lifetime": "engine"}) as engine:
        ...     await engine.cluster_memory.put("number", 21)
        ...     (await engine.execute(ax.Plan.map(double, [0]))).value
        [42]

        Raises UsageError if each run has its own (:attr:`Execution.cluster_memory`), or the engine is not open.
        """
        if not self._life.is_open:
            raise EngineClosedError("the engine is not open, and has no cluster memory")
        return self._memory.of_engine

    @property
    def is_open(self) -> bool:
        """True inside the ``async with`` block, as long as the backend works."""
        return self._life.works

    def __repr__(self) -> str:
        state = f"{self._life.running} executions running" if self._life.is_open else "closed"
        return f"<Engine on {self.backend.capabilities.name!r}: {state}>"
