"""The ``modal`` executor: containers of an app that is made for it, and ends with it."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from asyncexec.backends.adapters.calls import CallsBackend
from asyncexec.backends.contract import Capabilities
from asyncexec.backends.extras import require_extra
from asyncexec.backends.modal.options import NAME, ModalOptions
from asyncexec.backends.modal.system import ModalSystem
from asyncexec.backends.option_fields import takes_options


class ModalBackend(CallsBackend):
    """Run tasks in containers on Modal.

    Entering starts an ephemeral app with one function, leaving stops it. A batch is one call of that function, and
    cancelling a running task ends its container. The credentials are those of Modal's own configuration.

    Its options are the fields of :class:`ModalOptions`.

    Raises
    ------
    OptionError
        If the value of an option is not allowed.
    MissingExtraError
        If modal is not installed.
    """

    features: ClassVar[Capabilities] = Capabilities(
        name=NAME,
        kills=True,
        isolated=True,
        metered=True,
        batch_limit=1000,
        loss_seconds=60.0,
        native_retry="none of generator functions, as this is one; but Modal runs a call again whose "
        "container it took away for others (nonpreemptible prevents that)",
        call_seconds=0.1,
        overlaps=True,
    )

    @takes_options(ModalOptions)
    def __init__(self, options: ModalOptions) -> None:
        require_extra(NAME)
        capabilities = dataclasses.replace(
            self.features,
            batch_limit=options.batch_limit,
            worker_bytes=options.memory_bytes,
            opening_seconds=options.connect_timeout + options.start_timeout,
            opening_advice="Look at the app's page at modal.com/apps, or give it longer (start_timeout)",
        )
        super().__init__(ModalSystem(options, capabilities))
