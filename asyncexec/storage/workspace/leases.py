"""The proof that a run's folder is in use: a lock that goes with the process, or in object stores a lease.

A lease is an object that says until when the folder is in use. A thread renews it as long as the run lasts; of a driver
that was killed it runs out.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from asyncexec.storage.places.objects import Objects

MARKER = ".asyncexec"
"""The object that is in every folder of a run in an object store."""
LEASE_SECONDS = 120.0


class Hold(Protocol):
    """A folder that is held as in use."""

    def close(self) -> None:
        """Let go of it; more than once does no harm."""
        ...


class Lease:
    """The lease on a folder in an object store, renewed by a thread until it is closed.

    Parameters
    ----------
    objects : Objects
        Those of the folder.
    seconds : float
        For how long each renewal holds.
    """

    def __init__(self, objects: Objects, *, seconds: float = LEASE_SECONDS) -> None:
        self._objects = objects
        self._seconds = seconds
        self._ended = threading.Event()
        # Before the thread starts, so that no other run finds the folder without a lease.
        self._put(time.time() + seconds)
        # A thread, not a task: a blocked event loop must not let the lease run out.
        self._thread = threading.Thread(target=self._renew, name="asyncexec-lease")
        self._thread.start()

    def close(self) -> None:
        if self._ended.is_set():
            return
        self._ended.set()
        self._thread.join()
        with contextlib.suppress(Exception):  # It runs out by itself.
            self._put(0.0)

    def _renew(self) -> None:
        # Several renewals may fail, or be late, before the lease runs out.
        while not self._ended.wait(self._seconds / 4):
            with contextlib.suppress(Exception):  # The next time it may be there again.
                self._put(time.time() + self._seconds)

    def _put(self, until: float) -> None:
        mark(self._objects, until)


def mark(objects: Objects, until: float = 0.0) -> None:
    """Write that a folder was used now, and is in use until some time."""
    objects.put(MARKER, json.dumps({"at": time.time(), "until": until}).encode())


def read_lease(data: bytes | None) -> tuple[float, float]:
    """Return when a lease was written last, and until when it holds; of none that can be read, 0.0."""
    try:
        lease: Any = json.loads(data or b"{}")
        return float(lease.get("at", 0.0)), float(lease.get("until", 0.0))
    except (ValueError, AttributeError, TypeError):
        return 0.0, 0.0
