"""Dask: a cluster of our own on this machine, or anybody's anywhere."""

from __future__ import annotations

from typing import ClassVar

from asyncexec.backends.contract import Capabilities
from asyncexec.backends.dask.cluster_backend import NATIVE_RETRY, ClusterBackend
from asyncexec.backends.dask.options import DaskOptions
from asyncexec.backends.extras import need
from asyncexec.backends.option_fields import takes_options


class DaskBackend(ClusterBackend):
    """Run tasks on a Dask cluster: one of our own on this machine, or one that is there already.

    Without ``cluster_address``, ``scheduler_file``, ``client`` or ``cluster`` a cluster is started on this machine, and
    ended on leaving. A cluster that is lent is not closed, and nothing about it is changed.

    Its options are the fields of :class:`DaskOptions`.

    Raises
    ------
    MissingExtraError
        If Dask is not installed.
    OptionError
        If an option is not what it should be, or does not go with another.
    """

    features: ClassVar[Capabilities] = Capabilities(
        name="dask",
        kills=True,
        local=True,
        isolated=True,
        measures_memory=True,
        batch_limit=512,
        loss_seconds=1.0,
        native_retry=NATIVE_RETRY,
        call_seconds=0.01,
    )

    @takes_options(DaskOptions)
    def __init__(self, options: DaskOptions) -> None:
        need("dask", "dask", "dask", "distributed")
        if options.own and options.processes and options.encrypted:
            need("dask", "dask", "cryptography")
        super().__init__(options, self.features)
