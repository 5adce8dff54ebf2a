"""The ``serial`` executor: one task at a time, in one thread."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from asyncexec.backends.contract import Capabilities
from asyncexec.backends.option_fields import takes_options
from asyncexec.backends.threads.backend import ThreadsBackend
from asyncexec.backends.threads.options import SerialOptions


class SerialBackend(ThreadsBackend):
    """Run one task at a time in one thread: for debugging, and as the simplest executor to compare with.

    It is ``threads`` with one worker, and has its limits: a running task that is abandoned cannot be killed, and its
    thread is replaced, so that it runs next to the following tasks until its kernel returns.

    Its options are the fields of :class:`SerialOptions`.

    Raises
    ------
    OptionError
        If an option is out of range.
    """

    features: ClassVar[Capabilities] = replace(
        ThreadsBackend.features, name="serial", overlaps=False
    )

    @takes_options(SerialOptions)
    def __init__(self, options: SerialOptions) -> None:
        super().__init__(
            max_workers=options.max_workers,
            max_abandoned=options.max_abandoned,
            patience=options.patience,
        )
