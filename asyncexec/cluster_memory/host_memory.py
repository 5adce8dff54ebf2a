"""The memory of the tasks of one machine: small values in this process, large ones in files that every worker maps."""

from __future__ import annotations

import errno
import pickle
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from asyncexec.cluster_memory.entries import Entry, EntryTable
from asyncexec.cluster_memory.keys import key_not_found
from asyncexec.errors import (
    ClusterMemoryError,
    OutOfSpaceError,
    SerializationError,
    ValueLostError,
)
from asyncexec.events.outcome import Encoded, ValueHandle
from asyncexec.worker.attempt import decode
from asyncexec.worker.pickling import pickle_value
from asyncexec.worker.value_files import ValueFiles
from asyncexec.worker.value_layout import write_value
from asyncexec.worker.values import LargeValues

WHERE = "the run's cluster memory"
_READS = 5

type Stored = Encoded | ValueHandle


class HostMemory:
    """Holds values by space, namespace and key; any thread may call it.

    Parameters
    ----------
    files : callable
        Returns where large values go; called when the first one comes, or a worker connects.
    quota : int or None
        The bytes that may be in memory; the oldest values beyond go to disk.
    clock : callable
        Returns the time, for values that expire.
    """

    def __init__(
        self,
        files: Callable[[], ValueFiles],
        *,
        quota: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make_files = files
        self._clock = clock
        self._table = EntryTable(quota)
        self._lock = threading.Lock()
        self._files_lock = threading.Lock()

    @property
    def files(self) -> ValueFiles:
        """The files of large values."""
        with self._files_lock:
            return self._files

    @cached_property
    def _files(self) -> ValueFiles:
        return self._make_files()

    @property
    def memory_bytes(self) -> int:
        """The bytes in memory now."""
        return self._table.memory_bytes

    def open_space(self, space: str) -> None:
        """Open a space."""
        with self._lock:
            self._table.open(space)

    def close_space(self, space: str) -> None:
        """Delete a space with all that is in it."""
        with self._lock:
            removed = self._table.close(space)
        # Outside the lock, here and below: other callers must not wait for the file system.
        self._delete(removed)

    def put(
        self, space: str, namespace: str, key: str, stored: Stored, ttl: float | None = None
    ) -> None:
        """Take a value over that :func:`keep` has stored; if that fails, it is deleted.

        Raises
        ------
        ClusterMemoryError, OutOfSpaceError
        """
        nbytes = stored.nbytes if isinstance(stored, ValueHandle) else len(stored.data)
        on_disk = isinstance(stored, ValueHandle) and stored.place == str(self.files.places[-1])
        entry = Entry(
            (space, namespace, key),
            stored,
            nbytes,
            in_memory=not on_disk,
            expires_at=None if ttl is None else self._clock() + ttl,
        )
        try:
            with self._lock:
                removed = [*self._table.expire(self._clock()), *self._table.put(entry)]
                leaving = self._table.exceed()
        except ClusterMemoryError:
            self._delete([entry])
            raise
        self._delete(removed)
        self._move_to_disk(leaving, entry)

    def find(self, space: str, namespace: str, key: str) -> Stored | None:
        """Return a value as it is stored, if there is one; it may be moved at any time."""
        with self._lock:
            entry = self._table.get(space, namespace, key, self._clock())
            return None if entry is None else entry.stored

    def delete(self, space: str, namespace: str, key: str) -> bool:
        """Delete a value, and return whether there was one."""
        with self._lock:
            entry = self._table.get(space, namespace, key, self._clock())
            if entry is not None:
                self._table.remove(entry)
        self._delete([] if entry is None else [entry])
        return entry is not None

    def keys(self, space: str, namespace: str) -> list[str]:
        """Return the keys of a namespace."""
        with self._lock:
            return self._table.keys(space, namespace, self._clock())

    def clear(self, space: str, namespace: str) -> None:
        """Delete the values of a namespace."""
        with self._lock:
            removed = self._table.clear(space, namespace)
        self._delete(removed)

    def _delete(self, entries: Iterable[Entry]) -> None:
        handles = [e.stored for e in entries if isinstance(e.stored, ValueHandle)]
        if handles:
            self.files.delete(handles)

    def _move_to_disk(self, leaving: Sequence[Entry], newest: Entry) -> None:
        """Move values out of memory; where the disk is full, the newest is refused instead."""
        for number, entry in enumerate(leaving):
            before = entry.stored
            try:
                # Without the lock, too. Meanwhile the entry may be read, replaced or deleted.
                after = _on_disk(self.files, before)
            except OutOfSpaceError:
                with self._lock:
                    # In reverse, because each becomes the oldest: the order by age stays as it was.
                    for each in reversed(leaving[number:]):
                        self._table.stay(each)
                    if held := self._table.holds(newest):
                        self._table.remove(newest)
                self._delete([newest] if held else [])
                raise
            with self._lock:
                if moved := self._table.holds(entry):
                    entry.stored = after
            # A reader of the old file looks the value up again when it finds the file gone.
            unused = before if moved else after
            if isinstance(unused, ValueHandle):
                self.files.delete([unused])


def keep(files: ValueFiles, value: Any) -> Stored:
    """Store a value before it is given a key: a small one as bytes, a large one in a file.

    Raises
    ------
    SerializationError, OutOfSpaceError
    """
    with _about_sharing(value):
        kept = LargeValues(files, files.threshold).put(secrets.randbits(63), value)
    if isinstance(kept, Encoded | ValueHandle):
        return kept
    return Encoded(pickle.dumps(kept, protocol=5))


def pickle_shared(value: Any, buffers: list[pickle.PickleBuffer]) -> bytes:
    """Return a value pickled, with the ``buffers`` that it is made of apart.

    Raises
    ------
    SerializationError
    """
    with _about_sharing(value):
        return pickle_value(value, buffers)


@contextmanager
def _about_sharing(value: Any) -> Generator[None]:
    """Explain in an error of pickling that the value was to be shared."""
    try:
        yield
    except SerializationError as error:
        raise SerializationError(
            f"a {type(value).__qualname__} cannot be pickled, so it cannot be shared with other tasks: "
            f"{error.__cause__}. Store plain data, or what can be pickled"
        ) from error


def load(files: ValueFiles, find: Callable[[], Stored | None]) -> tuple[bool, Any]:
    """Return whether there is a value, and the value; ``find`` returns where it is, and is asked again if it moved."""
    for left in reversed(range(_READS)):
        stored = find()
        if stored is None:
            return False, None
        try:
            return True, decode(stored, files)
        except ValueLostError:
            if not left:
                raise
    raise AssertionError  # not reached


class HostClient:
    """The memory of one space, in the process that holds it.

    Parameters
    ----------
    memory : HostMemory
    space : str
    """

    def __init__(self, memory: HostMemory, space: str) -> None:
        self._memory = memory
        self._space = space

    def put(self, namespace: str, key: str, value: Any, ttl: float | None) -> None:
        """Store a value."""
        stored = keep(self._memory.files, value)
        self._memory.put(self._space, namespace, key, stored, ttl)

    def get(self, namespace: str, key: str) -> Any:
        """Return a value."""
        memory, space = self._memory, self._space
        found, value = load(memory.files, lambda: memory.find(space, namespace, key))
        if not found:
            raise key_not_found(key, namespace, memory.keys(space, namespace), WHERE)
        return value

    def delete(self, namespace: str, key: str) -> bool:
        """Delete a value."""
        return self._memory.delete(self._space, namespace, key)

    def exists(self, namespace: str, key: str) -> bool:
        """Return whether there is a value."""
        return self._memory.find(self._space, namespace, key) is not None

    def keys(self, namespace: str) -> Sequence[str]:
        """Return the keys of a namespace."""
        return self._memory.keys(self._space, namespace)

    def clear(self, namespace: str) -> None:
        """Delete all values of a namespace."""
        self._memory.clear(self._space, namespace)


class HereAddress:
    """The address of a memory in the process of the workers themselves: the memory.

    Parameters
    ----------
    memory : HostMemory
    space : str
    """

    def __init__(self, memory: HostMemory, space: str) -> None:
        self._client = HostClient(memory, space)

    def open(self) -> HostClient:
        """Return the client."""
        return self._client

    def __reduce__(self) -> tuple[type[HereAddress], tuple[()]]:
        raise SerializationError("a cluster memory of this process cannot be reached from another")


def _on_disk(files: ValueFiles, stored: Stored) -> ValueHandle:
    """Return a copy of a value on disk; raises OutOfSpaceError."""
    key = stored.key if isinstance(stored, ValueHandle) else str(secrets.randbits(63))
    path = Path(files.places[-1]) / key
    try:
        if isinstance(stored, ValueHandle):
            shutil.copyfile(files.path(stored), path)
        else:
            with path.open("wb") as file:
                write_value(file, bytes(stored.data), ())
    except FileNotFoundError:
        pass  # It has been deleted meanwhile, and its copy will be.
    except OSError as error:
        path.unlink(missing_ok=True)
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise OutOfSpaceError(
            f"there is no room for older values of the cluster memory in {path.parent}, and its quota is used up: free "
            f"some, delete values that are no longer read, or allow more with cluster_memory={{'quota': ...}}"
        ) from error
    nbytes = stored.nbytes if isinstance(stored, ValueHandle) else path.stat().st_size
    return ValueHandle(str(path.parent), key, nbytes)
