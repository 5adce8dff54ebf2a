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

from asyncexec.backends.contract import Started
from asyncexec.events.outcome import Outcome, Status
from asyncexec.worker.codec import decode_reports, encode_reports
from asyncexec.worker.remote_batch import RemoteBatch, worker_name


class BatchInbox:
    """The batch that runs: its frames, and the driver's orders to leave attempts out."""

    def __init__(self, call: RemoteBatch, container: str) -> None:
        self.frames: SimpleQueue[bytes | None] = SimpleQueue()
        self._call = call
        self._container = container
        self._control = call.control()

    def work(self) -> None:
        """Run the attempts."""
        try:
            for frame in self._call.frames(self._control, worker=self._container):
                self.frames.put(frame)
        finally:
            self.frames.put(None)

    def drop(self, attempts: set[int]) -> None:
        """Leave these out, and report those of them that had not started."""
        fresh = self._control.stop(attempts, leave=False).not_started
        if fresh:
            self.frames.put(encode_reports([Outcome(a, Status.CANCELLED) for a in fresh]))


_inbox: BatchInbox | None = None
_listening: set[str] = set()


def work(packed: bytes, orders: str) -> Iterator[bytes]:
    """Run a batch, and yield who runs it, and then its frames.

    Parameters
    ----------
    packed : bytes
        A pickled :class:`RemoteBatch`.
    orders : str
        Id of the queue on which the driver says which attempts are not to be started, in this container's partition.
    """
    import modal

    global _inbox  # noqa: PLW0603 - a container runs one input at a time
    call: RemoteBatch = pickle.loads(packed)  # noqa: S301 - from the driver
    container = os.environ.get("MODAL_TASK_ID") or worker_name()
    yield hello(modal.current_function_call_id() or "", container)
    _inbox = inbox = BatchInbox(call, container)
    threading.Thread(target=inbox.work, daemon=True).start()
    try:
        while (frame := inbox.frames.get()) is not None:
            if orders not in _listening and _tells_a_start(frame):
                _listening.add(orders)
                threading.Thread(target=_listen, args=(orders, container), daemon=True).start()
            yield frame
    finally:
        _inbox = None


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
                inbox = _inbox
                if inbox is not None:
                    inbox.drop(set(json.loads(order)))
    except modal.exception.Error:
        _listening.discard(orders)
