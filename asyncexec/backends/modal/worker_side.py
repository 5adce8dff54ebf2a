"""The function that runs in Modal's containers: a generator that reports while its batch runs.

It runs in the container's main thread. The attempts have a thread of their own, and so have the driver's requests to
drop attempts, which is started with the first batch that takes long enough to receive any.
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
    """The running batch: its frames, and the driver's requests to drop attempts."""

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
        """Drop attempts, and report those that had not started."""
        dropped = self._control.stop(attempts, leave=False).not_started
        if dropped:
            self.frames.put(encode_reports([Outcome(a, Status.CANCELLED) for a in dropped]))


_inbox: BatchInbox | None = None
_stop_receivers: set[str] = set()


def work(packed: bytes, stop_queue: str) -> Iterator[bytes]:
    """Run a batch, and yield the header, and then the frames.

    Parameters
    ----------
    packed : bytes
        A pickled :class:`RemoteBatch`.
    stop_queue : str
        The id of the queue by which the driver drops attempts, in this container's partition.
    """
    import modal

    global _inbox  # noqa: PLW0603 - a container runs one input at a time
    call: RemoteBatch = pickle.loads(packed)  # noqa: S301 - from the driver
    container = os.environ.get("MODAL_TASK_ID") or worker_name()
    yield header(modal.current_function_call_id() or "", container)
    _inbox = inbox = BatchInbox(call, container)
    threading.Thread(target=inbox.work, daemon=True).start()
    try:
        while (frame := inbox.frames.get()) is not None:
            if stop_queue not in _stop_receivers and _has_start(frame):
                _stop_receivers.add(stop_queue)
                threading.Thread(
                    target=_receive_stops, args=(stop_queue, container), daemon=True
                ).start()
            yield frame
    finally:
        _inbox = None


def header(call: str, container: str) -> bytes:
    """Return the first frame: the id by which the call can be cancelled, and the container that runs it."""
    return json.dumps([call, container]).encode()


def _has_start(frame: bytes) -> bool:
    return bool(frame) and any(isinstance(r, Started) for r in decode_reports(frame))


def _receive_stops(stop_queue: str, container: str) -> None:
    """Drop attempts as the driver requests, until its queue is gone."""
    import modal

    queue: Any = modal.Queue.from_id(stop_queue)
    try:
        while True:
            for request in queue.get_many(100, block=True, partition=container):
                inbox = _inbox
                if inbox is not None:
                    inbox.drop(set(json.loads(request)))
    except modal.exception.Error:
        _stop_receivers.discard(stop_queue)
