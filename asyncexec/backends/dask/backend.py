"""The ``dask`` executor: a local cluster of its own, or any existing cluster."""

from __future__ import annotations

from typing import ClassVar

from asyncexec.backends.contract import Capabilities
from asyncexec.backends.dask.cluster_backend import NATIVE_RETRY, ClusterBackend
from asyncexec.backends.dask.options import DaskOptions
from asyncexec.backends.extras import require_extra
from asyncexec.backends.option_fields import takes_options
from asyncexec.plan.locality import Locality


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
    )

    @takes_options(DaskOptions)
    def __init__(self, options: DaskOptions) -> None:
        require_extra("dask", "dask", "distributed")
        if options.own and options.processes and options.encrypted:
            require_extra("dask", "cryptography")
        super().__init__(options, self.features)
