"""The ``lithops`` executor: functions on AWS Lambda, Google Cloud, Azure, Kubernetes …, or local processes."""

from __future__ import annotations

from typing import ClassVar

from asyncexec.backends.adapters.blocking import BlockingBackend
from asyncexec.backends.contract import Capabilities
from asyncexec.backends.extras import require_extra
from asyncexec.backends.lithops.configuration import complete_configuration
from asyncexec.backends.lithops.options import LithopsOptions
from asyncexec.backends.lithops.system import LithopsSystem
from asyncexec.backends.option_fields import takes_options
from asyncexec.plan.locality import Locality

_NAME = "lithops"


class LithopsBackend(BlockingBackend):
    """Run tasks with `Lithops <https://lithops-cloud.github.io>`_.

    A batch of tasks is one call of Lithops, and all calls that are ready are one job. The configuration of Lithops says
    where they run; without one, that is this machine.

    Its options are the fields of :class:`LithopsOptions`.

    Raises
    ------
    OptionError
        If the value of an option is not allowed, or Lithops refuses its configuration.
    MissingExtraError
        If Lithops is not installed.
    """

    features: ClassVar[Capabilities] = Capabilities(
        name=_NAME,
        kills=True,
        locality=Locality.SAME_HOST,
        isolated=True,
        measures_memory=True,
        batch_limit=1_000,
        tells_progress=False,
        loss_seconds=3.0,
        native_retry="only through RetryingFunctionExecutor, which is not used",
        call_seconds=0.4,
        overlaps=True,
    )

    @takes_options(LithopsOptions)
    def __init__(self, options: LithopsOptions) -> None:
        require_extra(_NAME)
        configuration = complete_configuration(options)
        system = LithopsSystem(configuration, configuration.capabilities(self.features))
        super().__init__(system, patience=options.patience)
