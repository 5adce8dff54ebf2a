"""The copies of a worker that tasks make with ``os.fork``: each ends where its task's function does.

A function that forks returns twice. The copy must not go on as a worker: it would write to the worker's connections,
save chunks, and wait for batches for ever. So it ends when the function does, as Python ends a program: with 0 after a
return, with 1 and a traceback after an exception, and with the status of a ``SystemExit``.
"""

from __future__ import annotations

import os
import sys
import threading
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn
from weakref import WeakValueDictionary

from asyncexec.worker.task_context import CURRENT

if TYPE_CHECKING:
    import asyncio


class Forks:
    """The forks on the way from the first process to this one.

    Attributes
    ----------
    count : int
        How many there were since :meth:`watch`; what began under another count began in another process.
    """

    __slots__ = ("_loops", "_watched", "count")

    def __init__(self) -> None:
        self.count = 0
        self._watched = False
        self._loops: WeakValueDictionary[int, asyncio.AbstractEventLoop] = WeakValueDictionary()

    def watch(self) -> int:
        """Count from now on, and return the count; what is registered for that stays for the life of the process."""
        if not self._watched and hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._after)
            self._watched = True
        return self.count

    def watch_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Keep copies from going on with this thread's event loop, which runs the attempts of many tasks."""
        self.watch()
        self._loops[threading.get_ident()] = loop

    def _after(self) -> None:
        self.count += 1
        loop = self._loops.get(threading.get_ident())
        if loop is None or not loop.is_running() or CURRENT.get() is None:
            return
        # The loop's connections are those of the first process: nothing but what runs now may go on here.
        ready: Any = getattr(loop, "_ready", None)
        if ready is not None:
            ready.clear()
        loop.call_soon(end_copy)


def end_if_copied(count: int, error: BaseException | None = None) -> None:
    """End this process if it was forked since :data:`FORKS` had this ``count``."""
    if FORKS.count != count:
        end_copy(error)


def end_copy(error: BaseException | None = None) -> NoReturn:
    """End this process, which is a copy that a task has made, as a program that ends with ``error``."""
    status = 0
    with suppress(BaseException):
        if isinstance(error, SystemExit):
            status = error.code if isinstance(error.code, int) else int(error.code is not None)
        elif error is not None:
            status = 1
            traceback.print_exception(error)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    os._exit(status & 0xFF)


FORKS = Forks()
"""Of this process."""
