"""Locks on directories of this machine, which the system takes back with the process that has them."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LOCK = "lock"
"""The file that a run holds locked whose folder can be found by another run."""

_ATTEMPTS = 20
_TAKEN = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES}


class FolderLock:
    """A lock on a directory, or on a file in it."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        self._process = os.getpid()

    def is_of(self, path: Path) -> bool:
        """Return whether it is on what ``path`` is now: that may have been exchanged or removed."""
        if self._descriptor is None or self._process != os.getpid():
            return False
        return _is_at(path, self._descriptor)

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            # Processes that were forked meanwhile have the same open file: they do not unlock it, and do not keep it.
            if self._process == os.getpid():
                with suppress(OSError):
                    fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)


class HeldFolder:
    """A directory that is held for an array: made if there was none, and removed again if nothing came into it."""

    def __init__(self, path: Path, lock: FolderLock, *, made: bool) -> None:
        self._path = path
        self._lock = lock
        self._made = made

    def close(self) -> None:
        if self._made and self._lock.is_of(self._path):
            with suppress(OSError):
                self._path.rmdir()
        self._made = False
        self._lock.close()


def lock_folder(path: Path) -> FolderLock | None:
    """Return a lock on the directory itself; None where somebody has it, or the file system has no such locks."""
    # Without following links: another user may have put one in a shared folder.
    return _locked(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW))


def lock_file(path: Path) -> FolderLock | None:
    """Return a lock on the file in a directory that another run may look for; None where somebody has it."""
    return _locked(os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))


def hold_folder(path: Path) -> HeldFolder | None:
    """Return the directory ``path``, held for the caller's array; None where another run holds it.

    Where the file system has no locks on directories, as some of networks, or where half of the files are open that the
    process may have, it is held against nobody.

    Raises
    ------
    OSError
        If it cannot be made or opened.
    """
    for _ in range(_ATTEMPTS):
        made = _made(path)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue  # Removed by the run that had made it; or a link that leads nowhere.
        if descriptor > resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2:
            # A plan with thousands of targets needs its open files for other things.
            os.close(descriptor)
            return HeldFolder(path, FolderLock(None), made=made)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno in _TAKEN:
                return None
            return HeldFolder(path, FolderLock(None), made=made)
        if _is_at(path, descriptor):
            return HeldFolder(path, FolderLock(descriptor), made=made)
        os.close(descriptor)
    raise FileNotFoundError(
        errno.ENOENT, "it is made and removed by others, or leads nowhere", str(path)
    )


def _made(path: Path) -> bool:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.mkdir()
    except FileExistsError:
        return False
    return True


def _is_at(path: Path, descriptor: int) -> bool:
    """Return whether ``path`` still is the directory that was opened; it may have been exchanged or removed."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except OSError:
        return False


def _locked(descriptor: int) -> FolderLock | None:
    try:
        # Of the open file, not of the process: a second run in the same process is refused as well.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return FolderLock(descriptor)
