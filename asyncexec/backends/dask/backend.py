"""The ``dask`` executor: a local cluster of its own, or any existing cluster; ``coiled`` shares it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from importlib.util import find_spec
from typing import ClassVar

from asyncexec.backends.adapters.calls import CallsBackend
from asyncexec.backends.contract import Capabilities
from asyncexec.backends.dask.memory import DaskMemoryHost
from asyncexec.backends.dask.options import DaskOptions
from asyncexec.backends.dask.system import DaskSystem
from asyncexec.backends.dask.values import DaskValues
from asyncexec.backends.extras import require_extra
from asyncexec.backends.option_fields import takes_options
from asyncexec.cluster_memory.settings import MemorySettings
from asyncexec.errors import MissingExtraError
from asyncexec.plan.locality import Locality

NATIVE_RETRY = "what a dead worker ran is run elsewhere: off, each task is bound to its worker"


class ClusterBackend(CallsBackend):
    """Run tasks on a Dask cluster.

    Parameters
    ----------
    options : DaskOptions
    features : Capabilities
        The capabilities of the class.
    """

    def __init__(self, options: DaskOptions, features: Capabilities) -> None:
        system = DaskSystem(options, _capabilities(options, features))
        super().__init__(system)
        system.on_change = self._dispatch
        system.waiting = lambda: len(self._waiting)
        self._cluster = system

    @property
    def value_store(self) -> DaskValues | None:
        """The large values in the memory of workers, while the context is open; None where they share this process."""
        return self._cluster.values

    def memory_host(self, settings: MemorySettings, /) -> DaskMemoryHost | None:
        """Return the place of cluster memories on the cluster; None where its workers are on this machine."""
        return self._cluster.memory_host(settings)

    def avoid(self, workers: Collection[str], /) -> None:
        """Start nothing on these workers until the next call, unless only they can run it."""
        self._cluster.avoid(workers)


class DaskBackend(ClusterBackend):
    """Run tasks on a Dask cluster: a local one that is started for it, or an existing one.

    Without ``cluster_address``, ``scheduler_file``, ``client`` or ``cluster`` a local cluster is started, and ended on
    leaving. An existing cluster is not closed, and its settings are not changed.

    Its options are the fields of :class:`DaskOptions`.

    Raises
    ------
    MissingExtraError
        If Dask is not installed.
    OptionError
        If the value of an option is not allowed, or does not go with another option.
    """

    features: ClassVar[Capabilities] = Capabilities(
        name="dask",
        kills=True,
        locality=Locality.SAME_HOST,
        isolated=True,
        measures_memory=True,
        batch_limit=512,
        loss_seconds=1.0,
        native_retry=NATIVE_RETRY,
        call_seconds=0.01,
        overlaps=True,
    )

    @takes_options(DaskOptions)
    def __init__(self, options: DaskOptions) -> None:
        require_extra("dask", "dask", "distributed")
        if options.own and options.processes and options.encrypted:
            require_extra("dask", "cryptography")
        if options.dashboard_port is not None and find_spec("bokeh") is None:
            raise MissingExtraError(
                "executor 'dask': dashboard_port needs bokeh, which is not installed. Install it: pip install bokeh"
            )
        super().__init__(options, self.features)


def _capabilities(options: DaskOptions, features: Capabilities) -> Capabilities:
    """Return the capabilities that are known before the cluster is there."""
    shared = options.own and not options.processes
    limit = options.memory_bytes
    return replace(
        features,
        kills=options.kills,
        locality=_locality(options),
        isolated=not shared,
        measures_memory=options.kills,
        # A worker process that dies is noticed at once; a machine that vanishes, after Dask's ``worker-ttl``.
        loss_seconds=None if shared else (1.0 if options.own else 300.0),
        budget_bytes=options.budget_bytes,
        worker_bytes=None if limit is None else limit // options.threads_each,
        # Its nanny ends the worker; one of several threads could go on in the share of the others.
        guarantees_memory=limit is not None and options.threads_each == 1,
        resources=options.resource_amounts,
        opening_seconds=options.opening_seconds,
        opening_advice=_advice(options),
    )


def _advice(options: DaskOptions) -> str:
    if options.own or options.made:
        return "Look at what its workers print, or give the cluster longer to start (start_timeout)"
    where = options.cluster_address or options.scheduler_file or "the given cluster"
    return f"Check that the scheduler of {where!r} runs and answers"


def _locality(options: DaskOptions) -> Locality:
    if not options.own:
        return Locality.ELSEWHERE
    return Locality.SAME_HOST if options.processes else Locality.SAME_PROCESS
