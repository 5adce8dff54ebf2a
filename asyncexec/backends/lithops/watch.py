"""One thread that looks after the calls that Lithops has, and a few that fetch what they answer."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from asyncexec.backends.lithops.handles import CallHandle

_LOOK_SECONDS = 0.01


class Watch:
    """Looks after handles until they are done.

    Parameters
    ----------
    fetchers : int
        How many answers to fetch at once.
    """

    def __init__(self, *, fetchers: int) -> None:
        self._open: set[CallHandle] = set()
        self._changed = threading.Condition()
        self._closed = False
        self._fetchers = ThreadPoolExecutor(fetchers, thread_name_prefix="asyncexec-lithops-fetch")
        self._thread = threading.Thread(
            target=self._main, name="asyncexec-lithops-watch", daemon=True
        )
        self._thread.start()

    def add(self, handles: Iterable[CallHandle]) -> None:
        """Look after these too."""
        with self._changed:
            self._open.update(handles)
            self._changed.notify()

    def close(self) -> None:
        """Stop looking, and wait for what is being fetched."""
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
            done = {handle for handle in handles if self._is_over(handle)}
            with self._changed:
                self._open -= done
                self._changed.wait_for(lambda: self._closed, timeout=_LOOK_SECONDS)

    def _is_over(self, handle: CallHandle) -> bool:
        """Whether there is nothing more to look after."""
        if handle.done:
            return True
        if handle.arrived():
            self._fetchers.submit(handle.fetch)
            return True
        handle.look_after()
        return handle.done
