"""The ``http`` executor: a function behind HTTP, on Google Cloud, OpenFaaS, or any server that runs the worker."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from asyncexec.backends.adapters.calls import CallsBackend
from asyncexec.backends.contract import Capabilities
from asyncexec.backends.extras import require_extra
from asyncexec.backends.http.function import HttpFunction
from asyncexec.backends.http.options import HttpOptions
from asyncexec.backends.option_fields import takes_options
from asyncexec.config.checks import bytes_of
from asyncexec.masking import masked_logins

_NAME = "http"


class HttpBackend(CallsBackend):
    """Run tasks in a function that answers HTTP requests with ``asyncexec.backends.http.worker_side:handle``.

    Nothing stops a running function from outside: a task that is cancelled or times out while it runs is *abandoned*.
    It computes on until its function returns, and a late write cannot be prevented; later tasks of its batch do not
    start.

    Its options are the fields of :class:`HttpOptions`.

    Raises
    ------
    OptionError
        If the value of an option is not allowed.
    MissingExtraError
        If httpx is not installed.
    """

    features: ClassVar[Capabilities] = Capabilities(
        name=_NAME,
        isolated=True,
        metered=True,
        batch_limit=1000,
        loss_seconds=30.0,
        native_retry="none of requests by HTTP",
        call_seconds=0.02,
        overlaps=True,
    )

    @takes_options(HttpOptions)
    def __init__(self, options: HttpOptions) -> None:
        require_extra(_NAME, "httpx")
        capabilities = dataclasses.replace(
            self.features,
            batch_limit=options.batch_limit,
            worker_bytes=bytes_of(options.memory),
            guarantees_memory=options.memory is not None,
            opening_seconds=options.start_timeout,
            opening_advice=(
                f"{masked_logins(options.url)} does not answer: check the url, or give it longer (start_timeout)"
            ),
        )
        super().__init__(HttpFunction(options, capabilities))
