"""The handle of a call in a pool: the pool's future, completed."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from asyncexec.backends.adapters.blocking_system import CallLostError
from asyncexec.backends.futures.kinds import PoolKind

_numbers = itertools.count(1)


def run_call(call: Callable[[], Any]) -> Any:
    """Run a batch; pools that cache the functions they are given cache only this one."""
    return call()


class PoolHandle:
    """A pool's future, which may lack ``cancel`` and have errors of its own for a lost worker."""

    def __init__(self, future: Future[Any], kind: PoolKind) -> None:
        self._future = future
        self._kind = kind

    def cancel(self) -> bool:
        """Cancel the call, and return whether that worked."""
        try:
            return self._future.cancel()
        except NotImplementedError:
            return False

    def running(self) -> bool:
        """Return whether a worker runs the call; if unknown, assume it: there are no more calls than workers."""
        if self._kind.tells_running:
            return self._future.running()
        return not self._future.done()

    def result(self) -> Any:
        """Return what the call returned, or raise what it raised."""
        try:
            return self._future.result()
        except Exception as error:
            if _name(error) in self._kind.lost:
                raise CallLostError(f"{_name(error)}-{next(_numbers)}", str(error)) from error
            raise

    def add_done_callback(self, callback: Callable[[Any], object], /) -> None:
        """Call ``callback(handle)`` when the call is done."""
        self._future.add_done_callback(lambda _future: callback(self))


def _name(error: BaseException) -> str:
    return f"{type(error).__module__}.{type(error).__qualname__}"
