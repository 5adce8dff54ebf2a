"""Errors of an engine's backend, of the memory that tasks share, and of calls where they cannot work."""

from __future__ import annotations

from asyncexec.errors.base import AsyncexecError


class KeyNotFoundError(AsyncexecError, KeyError):
    """Nothing is stored under that key, or nothing any more."""

    def __str__(self) -> str:
        """Return the message as it is, which KeyError would show as a Python literal."""
        return str(self.args[0]) if self.args else ""


class ClusterMemoryError(AsyncexecError, RuntimeError):
    """The memory that the tasks of a run share cannot be reached, or cannot hold a value."""


class BackendError(AsyncexecError, RuntimeError):
    """The backend itself is broken (as opposed to: an attempt on it failed)."""


class UsageError(AsyncexecError, RuntimeError):
    """The API was called where it cannot work."""


class EngineClosedError(UsageError):
    """The engine is used outside its ``async with`` block."""


class RunningLoopError(UsageError):
    """A blocking call was made inside a running event loop."""
