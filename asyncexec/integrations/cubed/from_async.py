"""Computing Cubed arrays from async code, on an engine of the caller's own loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cubed
from anyio import to_thread
from cubed.runtime.types import DagExecutor

from asyncexec.integrations.cubed.translation import plan_of

if TYPE_CHECKING:
    import networkx as nx

    from asyncexec.engine import Engine
    from asyncexec.plan.plan import Plan


async def compute(
    *arrays: Any,
    engine: Engine,
    optimize_graph: bool = True,
    resume: bool = False,
    use_backups: bool = False,
    **options: Any,
) -> tuple[Any, ...]:
    """Compute Cubed arrays on ``engine``, and return them as NumPy arrays, without blocking the event loop.

    Like ``cubed.compute``, from a coroutine: several computations may run on one engine at once, and cancelling this
    call stops the work. Observers take the place of Cubed's callbacks.

    >>> import cubed, cubed.array_api as cxp
    >>> from asyncexec.integrations.cubed import compute
    >>> x = cxp.ones((4, 4), chunks=(2, 2), spec=cubed.Spec(allowed_mem="500MB"))
    >>> async with ax.Engine() as engine:
    ...     (total,) = await compute(cxp.sum(x + 1), engine=engine, retry=3)
    >>> total
    array(32.)

    Parameters
    ----------
    *arrays : cubed.Array
    engine : Engine
        Open, on the loop that runs this.
    optimize_graph, resume : bool
        As for ``cubed.compute``.
    use_backups : bool
        Whether slow tasks may have a backup also where writes are not known to be atomic.
    **options
        As for :meth:`asyncexec.Engine.execute`: ``retry``, ``timeout``, ``observers`` and so on.

    Raises
    ------
    ValueError
        If an operation needs more memory than it is allowed; Cubed checks that.
    PlanError, ExecutionError, BackendError
        As from :meth:`asyncexec.Engine.execute`.
    """

    def prepare() -> Plan:
        captured = _DagCapture()  # type: ignore[no-untyped-call, unused-ignore]  # Cubed's constructor
        cubed.compute(  # type: ignore[no-untyped-call, unused-ignore]  # Cubed has no types
            *arrays,
            executor=captured,
            optimize_graph=optimize_graph,
            resume=resume,
            _return_in_memory_array=False,
        )
        return plan_of(captured.dag, backups=use_backups)

    def read() -> tuple[Any, ...]:
        return tuple(array._read_stored() for array in arrays)  # noqa: SLF001 - what cubed.compute returns

    await engine.execute(await to_thread.run_sync(prepare), **options)
    return await to_thread.run_sync(read)


class _DagCapture(DagExecutor):  # type: ignore[misc, unused-ignore]  # Any where Cubed is not installed
    """An executor that keeps the finalized DAG and runs nothing."""

    @property
    def name(self) -> str:
        return "asyncexec"

    def execute_dag(self, dag: nx.MultiDiGraph[str], **_: Any) -> None:
        self.dag = dag
