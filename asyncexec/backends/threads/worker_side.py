"""A worker thread of the threads backend, which runs batches one after another.

The thread and the event loop share a :class:`~asyncexec.worker.local_batch.LocalBatch`: under the lock of its control
the thread starts and ends attempts, and the loop drops those that have not started and abandons the one that runs. So
every attempt has one owner at any time, and one outcome in the end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from asyncexec.worker.local_batch import LocalBatch


class WorkerThread:
    """A thread that runs batches until there are no more or it is abandoned.

    Parameters
    ----------
    name : str
        Its name in reports.
    next_batch : callable
        Waits for the next batch; None is the end.
    ended : callable
        Called in the thread after a batch has ended.
    exited : callable
        Called in the thread as its last act.
    """

    __slots__ = ("_ended", "_exited", "_next_batch", "batch", "crash", "name", "thread")

    def __init__(
        self,
        name: str,
        *,
        next_batch: Callable[[], LocalBatch | None],
        ended: Callable[[LocalBatch], None],
        exited: Callable[[WorkerThread], None],
    ) -> None:
        self.name = name
        self.batch: LocalBatch | None = None
        self.crash: BaseException | None = None
        self._next_batch = next_batch
        self._ended = ended
        self._exited = exited
        self.thread = threading.Thread(target=self._main, name=f"asyncexec-{name}", daemon=True)

    def start(self, first: LocalBatch | None = None) -> None:
        """Start the thread, with ``first`` before anything it takes."""
        self.batch = first
        self.thread.start()

    def _main(self) -> None:
        try:
            batch = self._next_batch() if self.batch is None else self.batch
            while batch is not None:
                self.batch = batch
                if not batch.run(self.name):
                    break
                self.batch = None
                self._ended(batch)
                # A thread that waits must not keep what it ran last: a function, its inputs and results.
                del batch
                batch = self._next_batch()
        except BaseException as error:  # noqa: BLE001 - the loop reports it, whatever it is
            self.crash = error
        finally:
            self._exited(self)
