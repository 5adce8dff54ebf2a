"""A function that every worker calls once, before its first task of a run that asks for it.

It travels with the programs, so it is the same on every backend: a worker calls it when it has loaded a program with it
whose key it has not seen. Workers in processes of their own have done so by content, threads of the driver's process
by identity, each for itself.
"""

from __future__ import annotations

import hashlib
import pickle
import threading
from collections.abc import Callable
from functools import cached_property
from typing import Any, Protocol

import cloudpickle

from asyncexec.errors import SerializationError, WorkerInitializerError


class InitializesWorker(Protocol):
    """An initializer, perhaps still pickled."""

    def ensure(self, worker: str) -> None:
        """Call it, unless this worker has.

        Raises
        ------
        WorkerInitializerError
            If it raised.
        """
        ...


class WorkerInitializer:
    """An initializer in the driver's process, where each thread is a worker.

    Parameters
    ----------
    function : callable
    arguments : tuple
    """

    def __init__(self, function: Callable[..., object], arguments: tuple[Any, ...] = ()) -> None:
        self.function = function
        self.arguments = arguments

    def ensure(self, worker: str) -> None:
        """Call it, unless this thread has."""
        done: list[WorkerInitializer] | None = getattr(_THREAD, "done", None)
        if done is None:
            done = _THREAD.done = []
        if not any(self._is(other) for other in done):
            _call(self.function, self.arguments, worker)
            done.append(self)

    def _is(self, other: WorkerInitializer) -> bool:
        same = self.function is other.function and len(self.arguments) == len(other.arguments)
        pairs = zip(self.arguments, other.arguments, strict=True) if same else ()
        return same and all(mine is theirs for mine, theirs in pairs)

    @cached_property
    def packed(self) -> PackedInitializer:
        """The same for workers in other processes.

        Raises
        ------
        SerializationError
            If it cannot be pickled.
        """
        try:
            return PackedInitializer(cloudpickle.dumps((self.function, self.arguments)))
        except Exception as error:
            raise SerializationError(
                f"the initializer of workers cannot be pickled, so it cannot be sent to a worker process: {error}. "
                f"Create what it captures (files, locks, connections) inside the function"
            ) from error


class PackedInitializer:
    """A pickled initializer; the whole process is the worker."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def ensure(self, worker: str) -> None:
        """Unpickle and call it, unless this process has; others wait until it has ended."""
        key = hashlib.blake2b(self._data, digest_size=16).digest()
        if key in _DONE:
            return
        with _LOCK:
            if key not in _DONE:
                try:
                    function, arguments = pickle.loads(self._data)  # noqa: S301 - from the driver
                except BaseException as error:
                    raise _failure(worker, error, "cannot be loaded") from error
                _call(function, arguments, worker)
                _DONE.add(key)


def _call(function: Callable[..., object], arguments: tuple[Any, ...], worker: str) -> None:
    try:
        function(*arguments)
    except BaseException as error:
        raise _failure(worker, error, "failed") from error


def _failure(worker: str, error: BaseException, how: str) -> WorkerInitializerError:
    return WorkerInitializerError(
        f"the initializer of worker {worker} {how}: {type(error).__name__}: {error}", worker=worker
    )


# Of this process and its threads: a worker has no other place that outlives a batch.
_DONE: set[bytes] = set()
_LOCK = threading.Lock()
_THREAD = threading.local()
