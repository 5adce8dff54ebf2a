"""The directories in which the values of one backend's tasks stay, from its opening to its end, and however it ends.

Their names begin alike for every engine of a user, and each engine holds a lock on its own: whoever gets the lock of
another's finds that its engine is dead, and removes it. The system gives locks back with the process, however it ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from asyncexec.errors import BackendError
from asyncexec.events.outcome import ValueHandle
from asyncexec.worker.value_files import FULL, ValueFiles

if TYPE_CHECKING:
    from asyncexec.worker.values import PickledValue

if sys.platform != "win32":
    import fcntl

_MEMORY = Path("/dev/shm")  # noqa: S108 - the memory file system of Linux; what is in it is a directory of ours alone


class ValueFolder:
    """Values as files, as the driver sees them (see :class:`~asyncexec.worker.values.ValueStore`).

    Parameters
    ----------
    memory : LockedDirectory or None
        In a memory file system, if there is one.
    disk : LockedDirectory
        For what finds no room there.
    """

    def __init__(self, memory: LockedDirectory | None, disk: LockedDirectory) -> None:
        self._directories = [d for d in (memory, disk) if d is not None]
        self._paths = (None if memory is None else memory.path, disk.path)
        self.files = ValueFiles(*self._paths)
        """The same values, for code of this machine that deletes at once."""
        # To delete a large file takes a while: its memory is given back page by page.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="asyncexec-values")

    @classmethod
    def make(cls) -> Self:
        """Make the directories, and remove those that engines of this user have left which were killed.

        Raises
        ------
        BackendError
            If there is no place for them.
        """
        parent = Path(tempfile.gettempdir())
        try:
            disk = LockedDirectory.make(parent)
        except OSError as error:
            raise BackendError(
                f"a directory for large values cannot be made: {error}. Set TMPDIR to one that can be written to"
            ) from error
        memory = None
        with contextlib.suppress(OSError):  # There is none, or it is full: the disk has to do.
            memory = LockedDirectory.make(_MEMORY)
        folder = cls(memory, disk)
        for place in {parent, _MEMORY}:
            folder._later(partial(remove_abandoned, place))
        return folder

    def __reduce__(self) -> tuple[type[ValueFiles], tuple[Path | None, Path]]:
        return ValueFiles, self._paths  # The workers' side.

    def put(self, attempt: int, value: PickledValue, /) -> ValueHandle:
        """Keep a value as a worker does."""
        return self.files.put(attempt, value)

    def get(self, handle: ValueHandle, /) -> Any:
        """Return the value; its memory is that of the file, which may be deleted meanwhile."""
        return self.files.get(handle)

    def delete(self, handles: Collection[ValueHandle], /) -> None:
        """Delete these values, soon."""
        self._later(partial(self.files.delete, handles))

    def spill(self, now: bool, /) -> None:  # noqa: FBT001 - of the protocol SpillingStore
        """Have all further values written to disk, or no longer."""
        mark = self._paths[1] / FULL
        with contextlib.suppress(OSError):  # It is closed.
            if now:
                mark.touch()
            else:
                mark.unlink(missing_ok=True)

    def discard(self, attempts: Collection[int]) -> None:
        """Delete what attempts have left that ended without an outcome of their own, because their worker was lost."""
        self._later(partial(self.files.discard, attempts))

    def _later(self, remove: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # It is closed: everything is gone.
            self._thread.submit(remove)

    async def close(self) -> None:
        """Remove everything."""
        removals = [self._thread.submit(directory.remove) for directory in self._directories]
        # Who is cancelled meanwhile need not wait for it.
        await asyncio.shield(asyncio.gather(*map(asyncio.wrap_future, removals)))
        self._thread.shutdown()


class LockedDirectory:
    """A directory of this process, with the lock that says that the process is alive."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    @classmethod
    def make(cls, parent: Path) -> Self:
        """Make a directory that nobody else can look into."""
        while True:
            path = Path(tempfile.mkdtemp(prefix=_prefix(), dir=parent))
            # Another engine may take it for abandoned, before it is locked.
            with contextlib.suppress(FileNotFoundError):
                descriptor = os.open(path, os.O_RDONLY)
                if _lock(descriptor) and _is_same(path, descriptor):
                    return cls(path, descriptor)
                os.close(descriptor)

    def remove(self) -> None:
        """Remove it with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._descriptor)


def remove_abandoned(parent: Path) -> None:
    """Remove the directories of this user's engines that have died."""
    for path in _ours(parent):
        with contextlib.suppress(OSError):
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
    return f"asyncexec-values-{os.getuid()}-"


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
