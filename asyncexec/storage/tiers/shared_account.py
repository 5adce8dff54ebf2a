"""The bytes of intermediates that all processes of an engine hold in memory: one counter in a file that all map.

A process that dies gives its lock back, and no more is lost than what it had reserved for the file that it was
writing: :mod:`~asyncexec.storage.tiers.shared_array` gives that back.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import threading
import weakref
from functools import lru_cache

SLOTS = 8_000
"""The number of runs that can be counted at once."""

_HEAD = struct.Struct(
    "=qqd"
)  # The limit, what is used, and when the files of dead processes were last looked for.
_ENTRY = struct.Struct("=q")
_BYTES = _HEAD.size + SLOTS * _ENTRY.size
_SWEEP_SECONDS = 1.0


class SharedAccount:
    """The counter, as one process sees it; thread-safe. Of several in one process, each has its own open file."""

    def __init__(self, path: str) -> None:
        self.path = path
        # The file's lock is between processes: threads of one share the open file, and with it the lock.
        self._lock = threading.Lock()
        self._descriptor = os.open(path, os.O_RDWR)
        # A process opens those of many runs, and closes none of others that it has only looked into.
        self._shut = weakref.finalize(self, os.close, self._descriptor)
        self._shut.atexit = False
        self._map = mmap.mmap(self._descriptor, _BYTES)

    @classmethod
    def make(cls, path: str) -> SharedAccount:
        """Make the file, with a limit of nothing."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            # Written, as a page that is only mapped ends the process where the file system is full.
            os.write(descriptor, bytes(_BYTES))
        finally:
            os.close(descriptor)
        return cls(path)

    @property
    def used_bytes(self) -> int:
        """The bytes in use now, of all runs."""
        return int(_HEAD.unpack_from(self._map)[1])

    def limit(self, limit_bytes: int) -> None:
        """Set what all runs may use; what is in use beyond it stays."""
        self._change(0, 0, limit=limit_bytes)

    def take(self, slot: int, size: int, most: int | None = None) -> bool:
        """Reserve ``size`` bytes for the run ``slot``; return False where there are not as many, or it has ``most``."""
        return self._change(slot, size, most=most)

    def give_back(self, slot: int, size: int) -> None:
        """Return what :meth:`take` reserved."""
        self._change(slot, -size)

    def close_run(self, slot: int) -> None:
        """Return all that a run has reserved."""
        self._change(slot, None)

    def used_by(self, slot: int) -> int:
        """Return the bytes that a run has reserved."""
        return int(_ENTRY.unpack_from(self._map, _HEAD.size + slot * _ENTRY.size)[0])

    def sweep_is_due(self, now: float) -> bool:
        """Return whether the caller is to look for files of dead processes; nobody else within a second."""
        with self._lock:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            try:
                limit, used, swept = _HEAD.unpack_from(self._map)
                due: bool = abs(now - swept) >= _SWEEP_SECONDS
                if due:
                    _HEAD.pack_into(self._map, 0, limit, used, now)
                return due
            finally:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file."""
        self._map.close()
        self._shut()

    def _change(
        self, slot: int, size: int | None, *, limit: int | None = None, most: int | None = None
    ) -> bool:
        at = _HEAD.size + slot * _ENTRY.size
        with self._lock:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            try:
                before, used, swept = _HEAD.unpack_from(self._map)
                (mine,) = _ENTRY.unpack_from(self._map, at)
                more = -mine if size is None else size
                if more > 0 and (used + more > before or (most is not None and mine + more > most)):
                    return False
                _HEAD.pack_into(
                    self._map, 0, before if limit is None else limit, used + more, swept
                )
                _ENTRY.pack_into(self._map, at, mine + more)
                return True
            finally:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)


def shared_account(path: str) -> SharedAccount:
    """Return the account at ``path``, opened once in this process: a lock that was inherited is that of the parent.

    Raises
    ------
    OSError
        If it is gone, as the engine has closed it.
    """
    return _opened(path, os.getpid())


@lru_cache(maxsize=16)
def _opened(path: str, _process: int) -> SharedAccount:
    return SharedAccount(path)
