"""A Dask cluster, however it is had, as a backend."""

from __future__ import annotations

from collections.abc import Collection

from asyncexec.backends.adapters.calls import CallsBackend
from asyncexec.backends.contract import Capabilities
from asyncexec.backends.dask_cluster.settings import DaskSettings, LocalSettings
from asyncexec.backends.dask_cluster.system import DaskSystem

NATIVE_RETRY = "what a dead worker ran is run elsewhere: off, each task is bound to its worker"


class ClusterBackend(CallsBackend):
    """Run tasks on a Dask cluster.

    Parameters
    ----------
    settings : DaskSettings
    """

    def __init__(self, settings: DaskSettings) -> None:
        system = DaskSystem(settings, _capabilities(settings))
        super().__init__(system)
        system.on_change = self._dispatch
        system.waiting = lambda: len(self._waiting)
        self._cluster = system

    def avoid(self, workers: Collection[str], /) -> None:
        """Start nothing on these workers until told otherwise, unless only they can run it."""
        self._cluster.avoid(workers)


def _capabilities(settings: DaskSettings) -> Capabilities:
    """Return what is known before the cluster is there."""
    local = settings.source if isinstance(settings.source, LocalSettings) else None
    shared = local is not None and not local.processes
    worker_bytes = None
    if local is not None and local.memory_bytes is not None:
        worker_bytes = local.memory_bytes // local.threads
    return Capabilities(
        name=settings.name,
        kills=settings.kills,
        local=local is not None,
        isolated=not shared,
        shares_memory=shared,
        measures_memory=settings.kills,
        metered=settings.metered,
        batch_limit=settings.batch_limit,
        # The process at once; a machine that vanishes, after Dask's worker-ttl.
        loss_seconds=None if shared else (1.0 if local is not None else 300.0),
        native_retry=NATIVE_RETRY,
        call_seconds=0.01,
        worker_bytes=worker_bytes,
        resources=settings.resources,
    )
