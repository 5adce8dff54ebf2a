"""A thread that polls the open calls of Lithops, and threads that fetch their answers."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from asyncexec.backends.lithops.executor import LithopsHandle

_POLL_SECONDS = 0.01


class HandleWatcher:
    """Polls handles until they are done.

    Parameters
    ----------
    fetchers : int
        The number of answers to fetch at once.
    """

    def __init__(self, *, fetchers: int) -> None:
        self._open: set[LithopsHandle] = set()
        self._changed = threading.Condition()
        self._closed = False
        self._fetchers = ThreadPoolExecutor(fetchers, thread_name_prefix="asyncexec-lithops-fetch")
        self._thread = threading.Thread(
            target=self._main, name="asyncexec-lithops-watch", daemon=True
        )
        self._thread.start()

    def add(self, handles: Iterable[LithopsHandle]) -> None:
        """Poll these handles too."""
        with self._changed:
            self._open.update(handles)
            self._changed.notify()

    def close(self) -> None:
        """Stop polling, and wait for answers that are being fetched."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()
        self._fetchers.shutdown(wait=True)

    def _main(self) -> None:
        while True:
            with self._changed:
                while not self._open and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                handles = list(self._open)
            done = {handle for handle in handles if self._is_finished(handle)}
            with self._changed:
                self._open -= done
                self._changed.wait_for(lambda: self._closed, timeout=_POLL_SECONDS)

    def _is_finished(self, handle: LithopsHandle) -> bool:
        """Return True if the handle need not be polled any more."""
        if handle.done:
            return True
        if handle.claim_fetch():
            self._fetchers.submit(handle.fetch)
            return True
        handle.check_lost()
        return handle.done
