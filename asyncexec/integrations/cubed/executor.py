"""The executor that Cubed calls."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Self

from cubed.runtime.types import DagExecutor

from asyncexec.config.checks import whole_number
from asyncexec.errors import EngineClosedError
from asyncexec.integrations.cubed.blocking import BlockingEngine
from asyncexec.integrations.cubed.callbacks import Callbacks
from asyncexec.integrations.cubed.translation import plan_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    import networkx as nx
    from cubed.runtime.types import Callback


class AsyncexecExecutor(DagExecutor):  # type: ignore[misc, unused-ignore]  # Any where Cubed is not installed
    """Runs Cubed's computations on an asyncexec engine.

    Each computation opens an engine of its own. Used as a context manager, the executor keeps one open for all
    computations inside, which spares starting workers again::

        with AsyncexecExecutor(executor="processes") as executor:
            y.compute(executor=executor)
            z.compute(executor=executor)

    >>> import cubed, cubed.array_api as cxp
    >>> from asyncexec.integrations.cubed import AsyncexecExecutor
    >>> spec = cubed.Spec(allowed_mem="500MB", executor=AsyncexecExecutor("threads", max_workers=2))
    >>> x = cxp.ones((4, 4), chunks=(2, 2), spec=spec)
    >>> cxp.sum(x + 1).compute()
    array(32.)

    Parameters
    ----------
    executor : str, class, backend or dotted path
        The backend that tasks run on, as for :class:`asyncexec.Engine`.
    executor_options : mapping, optional
        The backend's options. They may also be given as keywords (``max_workers=4``), like those of Cubed's executors,
        and to ``compute``, whose options take precedence.
    engine_options : mapping, optional
        Further arguments of :class:`asyncexec.Engine`, such as ``memory``, ``retry`` and ``observers``.
    **options
        Options as in ``executor_options``. ``retries``, ``timeout``, ``use_backups``, ``batch_size`` and
        ``compute_arrays_in_parallel`` are taken on every backend, and mean what they mean to Cubed's executors:
        ``retries=3`` is one attempt and three more.

    Notes
    -----
    Errors are raised from ``compute``: a ``TaskError`` names the operation, the block, the attempt, the worker and the
    cause. All work has stopped by then.
    """

    def __init__(
        self,
        executor: Any = "threads",
        *,
        executor_options: Mapping[str, Any] | None = None,
        engine_options: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        given: dict[str, Any] = {"executor": executor, **(executor_options or {}), **options}
        if engine_options:
            given["engine_options"] = dict(engine_options)
        super().__init__(**given)  # type: ignore[no-untyped-call, unused-ignore]  # Cubed's
        self._open: BlockingEngine | None = None

    @property
    def name(self) -> str:
        """The executor's name in Cubed."""
        return "asyncexec"

    def __enter__(self) -> Self:
        if self._open is not None:
            raise EngineClosedError("this executor is open already: it is entered once, and shared")
        engine = self._engine({})
        engine.__enter__()
        self._open = engine
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        engine, self._open = self._open, None
        if engine is not None:
            engine.__exit__(kind, error, traceback)

    def execute_dag(
        self,
        dag: nx.MultiDiGraph[str],
        callbacks: Sequence[Callback] | None = None,
        spec: Any = None,
        compute_id: str | None = None,
        **options: Any,
    ) -> None:
        """Run the operations of ``dag`` that are not yet computed; called by Cubed.

        Raises
        ------
        ConfigurationError, PlanError
            Before anything runs.
        ExecutionError, BackendError
            As from :meth:`asyncexec.Engine.execute`.
        """
        name = compute_id or "cubed"
        calls = Callbacks(callbacks) if callbacks else None
        try:
            backups = {**self.kwargs, **options}.get("use_backups") is True
            plan = plan_of(dag, name, backups=backups)
            with self._running(options) as engine:
                engine.run(plan, calls.receive if calls is not None else None)
        except BaseException:
            if calls is not None:
                calls.failed(name, dag)
            raise

    def _running(self, options: Mapping[str, Any]) -> AbstractContextManager[BlockingEngine]:
        """Return the engine that is open, or one made for these options."""
        if self._open is not None and not options:
            return nullcontext(self._open)
        return self._engine(options)

    def _engine(self, options: Mapping[str, Any]) -> BlockingEngine:
        given = {**self.kwargs, **options}
        executor = given.pop("executor")
        engine_options = given.pop("engine_options", {})
        if given.get("retries") is not None:
            # Cubed counts only the attempts after the first, and an engine all of them.
            retries = whole_number(given["retries"], f"executor {self.name!r}: retries", least=0)
            given["retries"] = retries + 1
        return BlockingEngine(executor, executor_options=given, **engine_options)

    def __getstate__(self) -> dict[str, Any]:
        # Cubed's tasks capture arrays, those their Spec, and that its executor: so it must be picklable, though it is
        # never used on a worker.
        kwargs = dict(self.kwargs)
        if not isinstance(kwargs["executor"], str | type):
            kwargs["executor"] = repr(kwargs["executor"])
        kwargs.pop("engine_options", None)
        return {"kwargs": kwargs, "_open": None}
