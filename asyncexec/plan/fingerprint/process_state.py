"""Objects that belong to a process, not to what is computed: locks, loggers, open files, its arguments."""

from __future__ import annotations

import functools
import io
import sys
from collections.abc import Hashable
from typing import Any, cast

_BY_TYPE = frozenset(
    {
        "_thread.lock",
        "_thread.RLock",
        "_thread._local",
        "_threading_local.local",
        "threading.Barrier",
        "threading.Condition",
        "threading.Event",
        "threading.Semaphore",
        "threading.Thread",
        "threading._RLock",
        "asyncio.locks.Lock",
        "asyncio.locks.Event",
        "asyncio.locks.Condition",
        "asyncio.locks.Semaphore",
        "asyncio.locks.Barrier",
        "asyncio.events.AbstractEventLoop",
        "multiprocessing.synchronize.SemLock",
        "multiprocessing.synchronize.Event",
        "multiprocessing.synchronize.Condition",
        "concurrent.futures._base.Executor",
        "logging.Handler",
        "logging.LoggerAdapter",
        "logging.Logger",
        "logging.Manager",
        "_contextvars.Context",
        "_contextvars.ContextVar",
        "_contextvars.Token",
        "weakref.finalize",
    }
)
_STREAMS = ("stdin", "stdout", "stderr", "__stdin__", "__stdout__", "__stderr__")
_LISTS = ("argv", "path", "meta_path", "path_hooks", "warnoptions", "orig_argv")


def is_of_process(value: Any) -> bool:
    """Return whether ``value`` says nothing of results: a lock, a logger, a file that is only written, ``sys.argv``."""
    if isinstance(value, io.IOBase):
        return _is_stream(value) or _is_only_written(value)
    return _is_by_type(cast("Hashable", type(value))) or any(
        value is getattr(sys, name, None) for name in _LISTS
    )


def is_harmless(value: Any) -> bool:
    """Return whether ``value`` is what code may hold anywhere: a logger, a standard stream, ``sys.argv``."""
    if isinstance(value, io.IOBase):
        return _is_stream(value)
    return type(value).__module__ == "logging" or isinstance(value, list)


@functools.lru_cache(4096)
def _is_by_type(kind: type) -> bool:
    return not _BY_TYPE.isdisjoint(f"{c.__module__}.{c.__qualname__}" for c in kind.__mro__)


def _is_only_written(value: io.IOBase) -> bool:
    if isinstance(value, io.BytesIO | io.StringIO):
        return False
    try:
        return value.writable() and not value.readable()
    except ValueError:  # It is closed.
        return False


def _is_stream(value: Any) -> bool:
    """Return whether ``value`` is one of the process's standard streams."""
    return any(value is getattr(sys, name, None) for name in _STREAMS)
