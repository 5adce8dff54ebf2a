"""What runs in a container: Modal's function, a generator that tells how far its batch is.

Runs in the container's main thread; the jobs have a thread of their own, and so have orders from the driver, once there
is a batch that takes long enough to be given any.
"""

from __future__ import annotations

import json
import os
import pickle
import threading
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Any

from asyncexec.backends.adapters.calls_in_worker import RemoteCall, worker_name
from asyncexec.backends.contract import Started
from asyncexec.backends.wire import decode_reports, encode_reports
from asyncexec.events.outcome import Outcome, Status


class Dropped:
    """Attempts that are not to be started any more; each is asked for once, when it is its turn."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begun: set[int] = set()
        self._dropped: set[int] = set()

    def __contains__(self, attempt: object) -> bool:
        with self._lock:
            if attempt in self._dropped:
                return True
            if isinstance(attempt, int):
                self._begun.add(attempt)
            return False

    def drop(self, attempts: set[int]) -> list[int]:
        """Drop those that have not begun, and return them."""
        with self._lock:
            fresh = attempts - self._begun - self._dropped
            self._dropped |= fresh
            return sorted(fresh)


class Desk:
    """The batch at hand: what it has to tell, and what it is told."""

    def __init__(self, call: RemoteCall, container: str) -> None:
        self.frames: SimpleQueue[bytes | None] = SimpleQueue()
        self._call = call
        self._container = container
        self._attempts = {job.attempt for job in call.jobs}
        self._dropped = Dropped()

    def work(self) -> None:
        """Run the jobs."""
        try:
            for frame in self._call.frames(self._dropped, worker=self._container):
                self.frames.put(frame)
        finally:
            self.frames.put(None)

    def drop(self, attempts: set[int]) -> None:
        """Leave these out, and tell of those for which that came in time."""
        fresh = self._dropped.drop(attempts & self._attempts)
        if fresh:
            self.frames.put(encode_reports([Outcome(a, Status.CANCELLED) for a in fresh]))


_desk: Desk | None = None
_listening: set[str] = set()


def work(packed: bytes, orders: str) -> Iterator[bytes]:
    """Run a batch, and yield who runs it, and then its frames.

    Parameters
    ----------
    packed : bytes
        A pickled :class:`RemoteCall`.
    orders : str
        Id of the queue on which the driver says which attempts are not to be started, in this container's partition.
    """
    import modal

    global _desk  # noqa: PLW0603 - a container runs one input at a time
    call: RemoteCall = pickle.loads(packed)  # noqa: S301 - from the driver
    container = os.environ.get("MODAL_TASK_ID") or worker_name()
    yield hello(modal.current_function_call_id() or "", container)
    _desk = desk = Desk(call, container)
    threading.Thread(target=desk.work, daemon=True).start()
    try:
        while (frame := desk.frames.get()) is not None:
            if orders not in _listening and _tells_a_start(frame):
                _listening.add(orders)
                threading.Thread(target=_listen, args=(orders, container), daemon=True).start()
            yield frame
    finally:
        _desk = None


def hello(call: str, container: str) -> bytes:
    """Return the first frame: by which id the call can be cancelled, and which container runs it."""
    return json.dumps([call, container]).encode()


def _tells_a_start(frame: bytes) -> bool:
    return bool(frame) and any(isinstance(r, Started) for r in decode_reports(frame))


def _listen(orders: str, container: str) -> None:
    """Follow the driver's orders, until its queue is gone."""
    import modal

    queue: Any = modal.Queue.from_id(orders)
    try:
        while True:
            for order in queue.get_many(100, block=True, partition=container):
                desk = _desk
                if desk is not None:
                    desk.drop(set(json.loads(order)))
    except modal.exception.Error:
        _listening.discard(orders)
