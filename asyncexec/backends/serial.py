"""One task at a time, beside the event loop."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from asyncexec.backends.contract import Capabilities
from asyncexec.backends.threads import ThreadsBackend


class SerialBackend(ThreadsBackend):
    """Run one task at a time in one thread: for finding faults, and as the plainest thing there is to compare with.

    It is ``threads`` with one worker, and has its limits: a task that is given up while it runs cannot be killed, and
    its thread is replaced, so that for as long as its kernel goes on it is not alone.

    Parameters
    ----------
    max_abandoned : int
        How many threads that were given up are replaced at a time.
    patience : float
        Seconds that work waits while a given-up thread holds the slot, before the run fails with ``BackendError``.

    Raises
    ------
    OptionError
        If an option is out of range.
    """

    features: ClassVar[Capabilities] = replace(ThreadsBackend.features, name="serial")

    def __init__(self, *, max_abandoned: int = 4, patience: float = 30.0) -> None:
        super().__init__(max_workers=1, max_abandoned=max_abandoned, patience=patience)
