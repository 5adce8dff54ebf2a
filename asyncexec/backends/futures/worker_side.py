"""Calls in pools of processes on this machine: a file marks the start of each, and workers end with their driver.

A pool says that a call runs when it is on its way to a worker, which may only just be starting. And the workers of some
pools wait for calls for ever when their driver was killed.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple


class Mark(NamedTuple):
    """The file that a worker makes when a call starts.

    Attributes
    ----------
    path : str
    driver : int
        The driver's process.
    """

    path: str
    driver: int

    @property
    def is_there(self) -> bool:
        """True when the call has started."""
        return os.path.exists(self.path)  # noqa: PTH110 - asked often

    def remove(self) -> None:
        """Remove the file, if it is there."""
        Path(self.path).unlink(missing_ok=True)


def run_marked(call: Callable[[], Any], mark: Mark) -> Any:
    """Mark the start of a batch, and run it; from then on this process ends when its driver does."""
    end_with(mark.driver, os.getpid())
    # The driver has removed the directory where nobody waits for the call any more.
    if Path(mark.path).parent.is_dir():
        Path(mark.path).touch()
    return call()


@cache
def end_with(driver: int, here: int) -> None:
    """End this process (``here``) as soon as ``driver`` has ended, on Linux."""
    if driver == here or not hasattr(os, "pidfd_open"):
        return
    try:
        watched = os.pidfd_open(driver)
    except ProcessLookupError:
        os._exit(1)
    except OSError:
        return
    threading.Thread(
        target=_exit_after, args=(watched,), name="asyncexec-driver-watch", daemon=True
    ).start()


def _exit_after(watched: int) -> None:
    poll = select.poll()
    poll.register(watched, select.POLLIN)
    poll.poll()
    os._exit(1)
