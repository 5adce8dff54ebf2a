"""The proof that a place in an object store is in use: a lease, which is an object that says by whom and until when.

It is written by conditional requests only: created where there is none, and renewed or taken over only as it was read.
So of several drivers at once one has it, and one that has lost it changes nothing. A thread, one for all leases of the
process, renews them as long as their runs last. Of a driver that was killed a lease runs out within a minute; one of
this machine is known to be gone, and its lease is taken over at once.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any, Protocol

from asyncexec.storage.places.concurrently import for_each
from asyncexec.storage.workspace.holders import Holder, holding_process

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncexec.storage.places.objects import Objects

_log = logging.getLogger(__name__)

MARKER = ".asyncexec"
"""The object that is in every folder of a run in an object store."""
LEASE_SECONDS = 60.0
_RENEWAL_SECONDS = 3.0
"""The time for which a renewal that is under way is waited for at the end."""
_ATTEMPTS = 3


class Hold(Protocol):
    """A place that is held as in use."""

    def close(self) -> None:
        """Let go of it; more than once does no harm."""
        ...


class LeaseTakenError(Exception):
    """Another run has the lease.

    Attributes
    ----------
    holder : Holder
    """

    def __init__(self, holder: Holder) -> None:
        super().__init__(str(holder))
        self.holder = holder


class Lease:
    """The lease on a place in an object store, renewed until it is closed.

    Parameters
    ----------
    objects : Objects
        Those of the place.
    name : str
        The object's name.
    run : str
        The run's name, for the error that others get.
    stays : bool
        Whether the object stays, as one that has run out, when the lease is closed.
    seconds : float
        For how long each renewal holds.

    Raises
    ------
    LeaseTakenError
        If another run has it.
    """

    def __init__(
        self,
        objects: Objects,
        *,
        name: str = MARKER,
        run: str = "",
        stays: bool = True,
        seconds: float = LEASE_SECONDS,
    ) -> None:
        self._objects = objects
        self._name = name
        self._run = run
        self._stays = stays
        self.seconds = seconds
        self._token = uuid.uuid4().hex
        self._since = time.time()
        self._lock = threading.Lock()
        self._closing = self._closed = False
        self._process = os.getpid()
        self.lost = False
        """Whether another run has taken it over, as it had run out."""
        # Before it is renewed, so that no other run finds the place without a lease.
        self._take()
        self._renewed = time.monotonic()
        RENEWALS.add(self)

    def close(self) -> None:
        """Let go of it, unless it is another run's by now; then that keeps it.

        A renewal to which the store does not answer is not waited for: the thread that renews lets go afterwards.
        """
        RENEWALS.remove(self)
        if self._process != os.getpid():
            return
        self._closing = True
        if self._lock.acquire(timeout=_RENEWAL_SECONDS):
            try:
                self._end()
            finally:
                self._lock.release()

    def _end(self) -> None:
        """Let go of it, once; called under the lock."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(Exception):  # It runs out by itself.
            self._let_go()

    def renew(self) -> None:
        """Let it hold from now on again."""
        with self._lock:
            if self._closed or self.lost:
                return
            # From before the request, so that it is never thought to hold for longer than it does.
            before = time.monotonic()
            with contextlib.suppress(Exception):  # The next time it may be there again.
                if self._replaced(time.time() + self.seconds):
                    self._renewed = before
            if self._closing:
                self._end()

    def _take(self) -> None:
        # What vanishes or changes between two requests is looked at again.
        for _ in range(_ATTEMPTS):
            data = self._document(time.time() + self.seconds)
            if self._objects.create(self._name, data):
                return
            found = self._objects.fetch(self._name)
            if found is None:
                continue
            holder = Holder.read(found.data)
            if holder is not None and not holder.is_gone(lambda: self._objects.age(self._name)):
                raise LeaseTakenError(holder)
            if self._objects.replace(self._name, data, found.version):
                return
        found = self._objects.fetch(self._name)
        raise LeaseTakenError((found and Holder.read(found.data)) or Holder())

    def _let_go(self) -> None:
        if self.lost:
            return
        if self._stays:
            self._replaced(0.0)
            return
        # Only while it surely holds: else another run may have it by the time that it is removed.
        if time.monotonic() - self._renewed < self.seconds / 2 or self._replaced(
            time.time() + self.seconds
        ):
            try:
                self._objects.remove(self._name)
            except Exception as error:  # noqa: BLE001 - as the store puts it
                # Without the right to delete, or in an outage: others need not wait until it runs out.
                self._replaced(0.0)
                _log.warning(
                    "the lease %s is over, but its object could not be removed: %s: %s",
                    self._name,
                    type(error).__name__,
                    str(error).partition("\n")[0],
                )

    def _replaced(self, until: float) -> bool:
        """Write when it ends, if it still is this run's; return whether it is."""
        found = self._objects.fetch(self._name)
        holder = found and Holder.read(found.data)
        if found is None or not holder or holder.token != self._token:
            self.lost = True
            return False
        return bool(self._objects.replace(self._name, self._document(until), found.version))

    def _document(self, until: float) -> bytes:
        return json.dumps(
            {
                "at": time.time(),
                "until": until,
                "since": self._since,
                "run": self._run,
                "token": self._token,
                **holding_process(),
            }
        ).encode()


class Renewals:
    """The thread that renews the leases of this process; there is none while there are no leases."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changed = threading.Event()
        self._leases: list[Lease] = []
        self._thread: threading.Thread | None = None
        self._process = os.getpid()

    def add(self, lease: Lease) -> None:
        """Renew ``lease`` from now on."""
        with self._lock:
            if self._process != os.getpid():
                # A copy of a process has its parent's list, and not its thread.
                self._process, self._leases, self._thread = os.getpid(), [], None
            self._leases.append(lease)
            self._changed.set()
            if self._thread is None:
                # A thread, not a task: a blocked event loop must not let leases run out.
                self._thread = threading.Thread(
                    target=self._run, name="asyncexec-leases", daemon=True
                )
                self._thread.start()

    def remove(self, lease: Lease) -> None:
        """Renew ``lease`` no more."""
        with self._lock:
            if lease in self._leases and self._process == os.getpid():
                self._leases.remove(lease)
                self._changed.set()

    def _run(self) -> None:
        while leases := self._left():
            # Several renewals may fail, or be late, before a lease runs out.
            if not self._changed.wait(min(lease.seconds for lease in leases) / 4):
                for_each(Lease.renew, leases, stop=lambda: None)

    def _left(self) -> Sequence[Lease]:
        with self._lock:
            self._changed.clear()
            if not self._leases:
                self._thread = None
            return list(self._leases)


RENEWALS = Renewals()


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
