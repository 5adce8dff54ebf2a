"""The directories in which the values of one backend's tasks stay, from its opening to its end, and however it ends."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from asyncexec.errors import BackendError
from asyncexec.events.outcome import ValueHandle
from asyncexec.storage.places.locked_directory import LockedDirectory, remove_abandoned
from asyncexec.worker.value_files import FULL, ValueFiles

if TYPE_CHECKING:
    from asyncexec.worker.values import PickledValue

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
        """Begin or cease to write all further values to disk."""
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
