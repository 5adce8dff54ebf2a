"""The cluster memory as a task finds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncexec.cluster_memory.handle import DEFAULT_NAMESPACE, ClusterMemory
from asyncexec.errors import UsageError
from asyncexec.worker.task_context import get_run_context

if TYPE_CHECKING:
    from asyncexec.cluster_memory.client import MemoryAddress

ENTRY = "cluster_memory"
"""The name of its address among the ``extras`` of a run's context."""


def get_cluster_memory() -> ClusterMemory:
    """Return the memory that the tasks of this run share; called in a task.

    >>> def visit(number):
    ...     memory = ax.get_cluster_memory().sync
    ...     memory.put(f"visited {number}", True)
    ...     return sorted(memory.keys())
    >>> ax.sync.execute(ax.Plan.map(visit, [7])).value
    [['visited 7']]

    Raises
    ------
    UsageError
        If no task runs here.
    ClusterMemoryError
        If this executor has no such memory: workers on other machines need a ``work_dir``.
    """
    context = get_run_context()
    address: MemoryAddress | None = context.extras.get(ENTRY)
    if address is None:
        raise UsageError("this run has no cluster memory: it was not started by an Engine")
    return ClusterMemory(address.open(), context.namespace or DEFAULT_NAMESPACE)
