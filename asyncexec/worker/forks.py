"""The copies of a worker that tasks make with ``os.fork``: each ends where its task's function does.

A function that forks returns twice. The copy must not go on as a worker: it would write to the worker's connections,
save chunks, and wait for batches for ever. So it ends when the function does, as Python ends a program: with 0 after a
return, with 1 and a traceback after an exception, and with the status of a ``SystemExit``.

An event loop that runs where the copy is made is in the copy as well, and waits by the same kernel object (an epoll)
and the same connection to itself: whatever the copy's loop unregisters, the first process would wait for in vain. So
the copy's loop gets its own of both.
"""

from __future__ import annotations

import os
import selectors
import sys
import threading
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn
from weakref import WeakKeyDictionary

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

    __slots__ = ("_busy", "_here", "_watched", "count")

    def __init__(self) -> None:
        self.count = 0
        self._watched = False
        self._here = threading.local()
        self._busy: WeakKeyDictionary[asyncio.AbstractEventLoop, int] = WeakKeyDictionary()

    def watch(self) -> int:
        """Count from now on, and return the count; what is registered for that stays for the life of the process."""
        if not self._watched and hasattr(os, "register_at_fork"):
            os.register_at_fork(before=self._before, after_in_child=self._after)
            self._watched = True
        return self.count

    def watch_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Keep copies from going on with an event loop that runs attempts of many tasks, until :meth:`leave_loop`.

        Also copies that are made where no task is known to run: by a callback that a thread has scheduled, say.
        """
        self.watch()
        self._busy[loop] = self._busy.get(loop, 0) + 1

    def leave_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let copies go on with a loop, as often as it was watched, unless a task makes them."""
        self._busy[loop] -= 1
        if not self._busy[loop]:
            del self._busy[loop]

    def _before(self) -> None:
        # In the copy, asyncio says that no loop runs.
        events = sys.modules.get("asyncio.events")
        self._here.loop = None if events is None else events._get_running_loop()  # noqa: SLF001 - public in all but name

    def _after(self) -> None:
        self.count += 1
        loop = getattr(self._here, "loop", None)
        if loop is None:
            return
        shared = loop in self._busy
        if not shared and CURRENT.get() is None:
            return  # The user's own copy, of the user's own loop.
        with suppress(Exception):  # of a loop that is not asyncio's
            _part(loop)
        if shared:
            # What waits belongs to the first process: nothing but what runs now may go on here.
            ready: Any = getattr(loop, "_ready", None)
            if ready is not None:
                ready.clear()
            loop.call_soon(end_copy)
            with suppress(AttributeError):  # of a loop that is not asyncio's
                _end_with(loop)


def _part(loop: Any) -> None:
    """Give the loop of a copy a selector and a connection to itself that it does not share with the first process."""
    of_loop = vars(loop)  # asyncio has no way to part a loop.
    shared, own = of_loop["_selector"], of_loop["_ssock"]
    of_loop["_selector"] = new = selectors.DefaultSelector()
    for key in shared.get_map().values():
        if key.fileobj != own.fileno() and key.fileobj is not own:
            new.register(key.fileobj, key.events, key.data)
    shared.close()
    loop._close_self_pipe()  # noqa: SLF001 - as above
    loop._make_self_pipe()  # noqa: SLF001 - as above


def _end_with(loop: Any) -> None:
    """End this copy also where a callback's ``SystemExit`` ends the loop, before it unwinds what called that."""
    # The last that a loop calls when it stops, and there is no other place between the callback and the caller.
    loop._set_coroutine_origin_tracking = lambda _: end_copy(sys.exception())  # noqa: SLF001 - as said


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
