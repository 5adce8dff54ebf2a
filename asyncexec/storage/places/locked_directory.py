"""Directories of temporary files, which are removed with the process that made them, however it ended.

Their names begin alike for every process of a user, and each holds a lock on its own: whoever gets the lock of
another's finds that its process is dead, and removes it. The system gives locks back with the process, whatever ended
it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import uuid
import weakref
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Self

if sys.platform != "win32":
    import fcntl


class LockedDirectory:
    """A directory of this process, with the lock that says that the process is alive."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        _held_here().add(self)

    @classmethod
    def make(cls, parent: Path | None = None) -> Self:
        """Make a directory that nobody else can look into; without ``parent``, where temporary files are."""
        while True:
            path = Path(parent or tempfile.gettempdir(), f"{_prefix()}{uuid.uuid4().hex[:8]}")
            path.mkdir(mode=0o700)
            # Another engine may take it for abandoned, before it is locked.
            with contextlib.suppress(FileNotFoundError):
                descriptor = os.open(path, os.O_RDONLY)
                # The same: if another engine has removed it, the lock is one on a directory without a name.
                if _lock(descriptor) and _is_same(path, descriptor):
                    return cls(path, descriptor)
                os.close(descriptor)

    def unlock(self) -> None:
        """Close the lock: at the end, or in a copy of the process, which may outlive it."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def remove(self) -> None:
        """Remove it with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        # Last, because without the lock another engine would remove it at the same time.
        self.unlock()


@cache
def _held_here() -> weakref.WeakSet[LockedDirectory]:
    """Return the directories that this process holds."""
    held: weakref.WeakSet[LockedDirectory] = weakref.WeakSet()

    def unlock_copies() -> None:
        # Pools fork their workers, which outlive a driver that is killed; with the lock, nobody would clear up.
        for directory in list(held):
            directory.unlock()

    os.register_at_fork(after_in_child=unlock_copies)
    return held


def remove_abandoned(parent: Path) -> None:
    """Remove the directories of this user's engines that have died."""
    for path in _ours(parent):
        with contextlib.suppress(OSError):
            # No links, and only of this user: names in a shared folder can be made by anybody.
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY)
            try:
                if os.fstat(descriptor).st_uid == os.getuid() and _lock(descriptor):
                    shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(descriptor)


def _ours(parent: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError), os.scandir(parent) as entries:
        yield from [Path(entry.path) for entry in entries if entry.name.startswith(_prefix())]


def _prefix() -> str:
    return f"asyncexec-{os.getuid()}-"


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_same(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
