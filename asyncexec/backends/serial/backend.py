"""One task at a time, beside the event loop."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from asyncexec.backends.contract import Capabilities
from asyncexec.backends.option_fields import takes_options
from asyncexec.backends.threads.backend import ThreadsBackend
from asyncexec.backends.threads.options import SerialOptions


class SerialBackend(ThreadsBackend):
    """Run one task at a time in one thread: for finding faults, and as the plainest thing there is to compare with.

    It is ``threads`` with one worker, and has its limits: a task that is given up while it runs cannot be killed, and
    its thread is replaced, so that for as long as its kernel goes on it is not alone.

    Its options are the fields of :class:`SerialOptions`.

    Raises
    ------
    OptionError
        If an option is out of range.
    """

    features: ClassVar[Capabilities] = replace(ThreadsBackend.features, name="serial")

    @takes_options(SerialOptions)
    def __init__(self, options: SerialOptions) -> None:
        super().__init__(
            max_workers=1, max_abandoned=options.max_abandoned, patience=options.patience
        )
