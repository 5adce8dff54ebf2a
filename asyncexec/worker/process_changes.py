"""The changes that a task makes to its process, put back after it: directory, environment, signals, timers, umask.

And, in a worker process, its standard input and outputs, which the next task uses.

And what it sets of the interpreter: trace and profile functions, recursion limit, garbage collector, fault handlers.

Comparing all of that after every task would cost as much as a short task takes. So the functions of ``os``, ``signal``,
``sys`` and others that make these changes write down what there was before, in worker processes only, and a task that
changes nothing costs one look at an empty list. A change that is made while a module is imported stays: the module is
not imported again for the next task. What C code changes by itself is not seen.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager, suppress
from functools import partial, wraps
from types import FrameType
from typing import Any

from asyncexec.worker.task_context import CURRENT

_STANDARD = (0, 1, 2)
"""Standard input, output and error."""
_IMPORTING = "<frozen importlib._bootstrap>"


class ProcessChanges:
    """The changes since the last :meth:`undo`, each as a function that takes it back.

    Attributes
    ----------
    made : dict
        By what was changed; only the first change of each thing is kept.
    """

    __slots__ = ("_batches", "_lock", "_owned", "_watched", "made")

    def __init__(self) -> None:
        self.made: dict[object, Callable[[], object]] = {}
        self._watched = self._owned = False
        self._batches = 0
        self._lock = threading.Lock()

    def watch(self) -> None:
        """Write down all changes from now on, for the life of this process, in which nothing but tasks runs."""
        self._owned = True
        self._replace_functions()
        for end in (os.close, os.dup2):
            _replace(os, end, self._before_descriptor)

    @contextmanager
    def among_others(self) -> Generator[None]:
        """Write down what attempts change in this context, which a batch runs in, and take it back in the end.

        Where several batches run at once, it is taken back when none is left.
        """
        with self._lock:
            self._replace_functions()
            self._batches += 1
        try:
            yield
        finally:
            with self._lock:
                self._batches -= 1
            if self.made and not self._batches:
                self.undo()

    def _replace_functions(self) -> None:
        if self._watched:
            return
        self._watched = True
        for change in (os.chdir, os.fchdir):
            _replace(os, change, self._before_chdir)
        for put in (os.putenv, os.unsetenv):
            _replace(os, put, self._before_putenv)
        _replace(signal, signal.signal, self._before_signal)
        for start in (signal.alarm, signal.setitimer):
            _replace(signal, start, self._before_timer)
        for follow in (sys.settrace, sys.setprofile):
            _replace(sys, follow, partial(self._before_tracing, follow))
        _replace(sys, sys.setrecursionlimit, self._before_recursion_limit)
        for switch in (gc.enable, gc.disable):
            _replace(gc, switch, self._before_collector)
        _replace(faulthandler, faulthandler.dump_traceback_later, self._before_dump)
        for switch in (faulthandler.enable, faulthandler.disable):
            _replace(faulthandler, switch, self._before_fault_handler)
        self._replace_umask()

    def keep_since(self, before: Collection[object]) -> None:
        """Let the changes stay that are not in ``before``: a program was loaded, or a worker initialized."""
        for what in self.made.keys() - before:
            self.made.pop(what, None)

    def undo(self) -> None:
        """Take back the changes since the last time, the latest first; not while another batch runs here."""
        if self._batches > 1 and not self._owned:
            return
        made = dict(self.made)
        for take_back in reversed(made.values()):
            with suppress(Exception):  # A directory that is gone, a handler that is not Python's.
                take_back()
        for what in made:
            self.made.pop(what, None)

    def _note(self, what: object, take_back: Callable[[], object]) -> None:
        # Only the first change of each thing: what was before it is what is put back.
        if what in self.made or not (self._owned or (self._batches and CURRENT.get() is not None)):
            return
        if not _is_importing(sys._getframe(2)):  # noqa: SLF001 - documented, for all its underscore
            self.made[what] = take_back

    def _before_chdir(self, *_: Any) -> None:
        with suppress(OSError):
            before = os.getcwd()  # noqa: PTH109 - a string is what is needed
            self._note("directory", lambda: os.chdir(before))

    def _before_putenv(self, name: str | bytes, *_: Any) -> None:
        key = os.fsencode(name)
        before = os.environb.get(key)
        self._note(("variable", key), lambda: _set_variable(key, before))

    def _before_signal(self, number: int, *_: Any) -> None:
        with suppress(ValueError):
            before = signal.getsignal(number)
            self._note(("signal", int(number)), lambda: signal.signal(number, before))

    def _before_timer(self, which: int, *_: Any) -> None:
        self._note("timers", _stop_timers)

    def _before_tracing(self, function: Callable[..., object], *_: Any) -> None:
        before = sys.gettrace() if function.__name__ == "settrace" else sys.getprofile()
        self._note(function.__name__, lambda: function(before))

    def _before_recursion_limit(self, *_: Any) -> None:
        before = sys.getrecursionlimit()
        self._note("recursion limit", lambda: sys.setrecursionlimit(before))

    def _before_collector(self, *_: Any) -> None:
        before = gc.isenabled()
        self._note("garbage collector", lambda: gc.enable() if before else gc.disable())

    def _before_dump(self, *_: Any) -> None:
        self._note("dump of tracebacks", faulthandler.cancel_dump_traceback_later)

    def _before_fault_handler(self, *_: Any) -> None:
        before = faulthandler.is_enabled()
        self._note("fault handler", faulthandler.enable if before else faulthandler.disable)

    def _before_descriptor(self, descriptor: int, other: int | None = None, *_: Any) -> None:
        number = descriptor if other is None else other
        what = ("descriptor", number)
        # What begins a worker process sets these itself.
        if number not in _STANDARD or what in self.made or CURRENT.get() is None:
            return
        with suppress(OSError):
            kept = os.dup(number)
            self._note(what, lambda: _set_descriptor(number, kept))
            if what not in self.made:
                os.close(kept)

    def _replace_umask(self) -> None:
        original = os.umask

        @wraps(original)
        def umask(mask: int, /) -> int:
            before = original(mask)
            self._note("umask", lambda: original(before))
            return before

        os.umask = umask


def _replace(module: Any, function: Callable[..., Any], before: Callable[..., None]) -> None:
    """Have a function of a module call ``before`` with its arguments first."""

    @wraps(function)
    def replaced(*arguments: Any, **named: Any) -> Any:
        before(*arguments, *named.values())
        return function(*arguments, **named)

    replaced.__module__ = (
        module.__name__
    )  # It is pickled by its name, which leads to the function itself elsewhere.
    setattr(module, function.__name__, replaced)
    if function in os.supports_fd:
        os.supports_fd.add(replaced)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == _IMPORTING:
            return True
        frame = frame.f_back
    return False


def _set_variable(key: bytes, value: bytes | None) -> None:
    if value is None:
        os.environb.pop(key, None)
    else:
        os.environb[key] = value


def _set_descriptor(number: int, kept: int) -> None:
    os.dup2(kept, number)
    os.close(kept)


def _stop_timers() -> None:
    for timer in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF):
        signal.setitimer(timer, 0)


CHANGES = ProcessChanges()
"""Of this process."""
