"""The folders of runs in a memory file system, as the driver of an engine makes and removes them.

All that an engine has there is in one directory, which is there while any of its runs is, and holds a lock: the next
engine of the same user removes what one has left that was killed.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import threading
import time
from collections import deque
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

from asyncexec.plan.memory import format_bytes
from asyncexec.storage.chunks.access import opened
from asyncexec.storage.places.locked_directory import LockedDirectory, remove_abandoned
from asyncexec.storage.tiers.blocks import block_region
from asyncexec.storage.tiers.shared_account import SLOTS, SharedAccount
from asyncexec.storage.tiers.shared_array import (
    INPUTS,
    WRITING,
    SharedArray,
    drop_inputs,
    free_bytes,
)
from asyncexec.storage.tiers.shared_inputs import SharedInput

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from asyncexec.plan.access_map import AccessMap
    from asyncexec.plan.box import Shape
    from asyncexec.storage.chunks.arrays import StoredArray

MEMORY_FILES = Path("/dev/shm")  # noqa: S108 - the memory file system of Linux; what is in it is a directory of ours alone
_ACCOUNT = "account"
_REMOVALS = 5
_PAUSE_SECONDS = 0.05


class SharedMemory:
    """The memory that the runs of one engine share with workers in other processes; thread-safe.

    Attributes
    ----------
    runs : int
        The runs that have a place here.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._directories: dict[Path, LockedDirectory] = {}
        self._account: SharedAccount | None = None
        self._free: deque[int] = deque()
        self._numbers = itertools.count(1)
        self.runs = 0

    @property
    def used_bytes(self) -> int:
        """The bytes that intermediates take now."""
        account = self._account
        try:
            return 0 if account is None else account.used_bytes
        except ValueError:  # It has been closed in another thread, with the last run.
            return 0

    def limit(self, limit_bytes: int) -> None:
        """Set what all runs together may use; they use nothing while none is open."""
        with self._lock:
            if self._account is not None:
                self._account.limit(limit_bytes)

    def open(self, parent: Path, limit_bytes: int) -> SharedRun | None:
        """Make a place for the intermediates of a run in ``parent``; None where none can be made.

        All runs together may use ``limit_bytes``.

        What engines of this user have left there that were killed is removed before.
        """
        with self._lock:
            try:
                return self._opened(parent, limit_bytes)
            except OSError:
                self._leave()
                return None

    def close(self, run: SharedRun) -> None:
        """Take back what a run has used, whose files are gone; with the last run, the directory goes as well."""
        with self._lock:
            if self._account is not None:
                self._account.close_run(run.slot)
            self._free.append(run.slot)
            self.runs -= 1
            self._leave()

    def _opened(self, parent: Path, limit_bytes: int) -> SharedRun | None:
        directory = self._directories.get(parent)
        if directory is None:
            # Before a directory of its own, as what killed engines have left takes the room that this one counts on.
            remove_abandoned(parent)
            directory = self._directories[parent] = LockedDirectory.make(parent)
        if self._account is None:
            self._account = SharedAccount.make(str(directory.path / _ACCOUNT))
            self._free = deque(range(SLOTS))
        self._account.limit(limit_bytes)
        if not self._free:
            return None
        # Neither a name nor, for long, a slot is used again: an attempt of an ended run may still come.
        folder = directory.path / f"run-{next(self._numbers)}"
        folder.mkdir(mode=0o700)
        slot = self._free.popleft()
        self.runs += 1
        return SharedRun(self, folder, self._account.path, slot)

    def _leave(self) -> None:
        """Remove the directories, if no run is open."""
        if self.runs:
            return
        account, self._account = self._account, None
        if account is not None:
            account.close()
        while self._directories:
            self._directories.popitem()[1].remove()


class SharedRun:
    """The place of one run's intermediates in a memory file system.

    Attributes
    ----------
    folder : Path
    account : str
        The file of the engine's account.
    slot : int
        The run's number in the account.
    most_bytes : int or None
        What the run may hold there, whatever others do.
    """

    def __init__(self, memory: SharedMemory, folder: Path, account: str, slot: int) -> None:
        self.folder = folder
        self.slot = slot
        self.most_bytes: int | None = None
        self.account = account
        self._memory = memory
        self._later: SimpleQueue[tuple[Callable[[list[str]], None], list[str]] | None] = (
            SimpleQueue()
        )
        self._thread: threading.Thread | None = None
        self._arrays: list[SharedArray] = []
        self._inputs: list[SharedInput] = []

    def input(self, ref: StoredArray, accesses: Sequence[AccessMap], grid: Shape) -> SharedInput:
        """Return what tasks read an array through whose chunks several of them need; it makes a folder."""
        folder = self.folder / f"{INPUTS}{len(self._inputs)}"
        with contextlib.suppress(OSError):  # Each task reads for itself, then.
            folder.mkdir(mode=0o700)
        made = SharedInput(
            ref,
            accesses,
            grid,
            folder=str(folder),
            account=self.account,
            slot=self.slot,
            most_bytes=self.most_bytes,
        )
        self._inputs.append(made)
        return made

    def array(self, ref: StoredArray, block: Shape) -> SharedArray:
        """Return an array whose blocks are here, and in ``ref`` where they find no room; it makes a folder."""
        folder = self.folder / f"{len(self._arrays)}"
        with contextlib.suppress(OSError):  # Blocks find no room, then.
            folder.mkdir(mode=0o700)
        made = SharedArray(
            ref,
            block,
            folder=str(folder),
            account=self.account,
            slot=self.slot,
            most_bytes=self.most_bytes,
        )
        made.later = lambda paths: self._free(made, paths)
        self._arrays.append(made)
        return made

    def spill(self, wanted_bytes: int) -> int:
        """Free so many bytes, or as many as there are; return how many.

        Inputs go first, then blocks to the run's directory, the newest of them first.

        Raises
        ------
        OSError, StorageError
            If one cannot be written, or its file cannot be read.
        """
        freed = drop_inputs(str(self.folder), self._inputs[0].free) if self._inputs else 0
        # The newest first: a plan that runs deepest-first reads the oldest next.
        for array in reversed(self._arrays):
            for name, size in _newest_first(array.folder):
                if freed >= wanted_bytes:
                    return freed
                index = tuple(map(int, name.split("."))) if array.block else ()
                region = block_region(index, array.block, array.shape)
                opened(array.ref).write(region, array.read(region))
                array.free([array.path(index)])
                freed += size
        return freed

    def takes(self, ref: StoredArray) -> bool:
        """Return whether blocks of the array can be here."""
        return fits_files(ref)

    def shortage(self, wanted_bytes: int) -> str:
        """Return a sentence for users where the file system has less than ``wanted_bytes`` for a run; else nothing."""
        room = free_bytes(str(self.folder))
        if room >= wanted_bytes:
            return ""
        return (
            f"{self.folder.parent.parent} is small: {format_bytes(room)} of it may be used for intermediates, which "
            f"take up to {format_bytes(wanted_bytes)}. What finds no room there goes to the work "
            f"directory; enlarge it (containers: --shm-size), or give Spec(memory_dir=...)"
        )

    def wait(self) -> None:
        """Wait until everything is freed that has been released."""
        if self._thread is not None:
            freed = threading.Event()
            self._later.put((lambda _: freed.set(), []))
            freed.wait()

    def close(self) -> None:
        """Remove everything; attempts that come late find nowhere to write to."""
        if self._thread is not None:
            self._later.put(None)
            self._thread.join()
        for _ in range(_REMOVALS):
            shutil.rmtree(self.folder, ignore_errors=True)
            if not self.folder.exists():
                break
            # An attempt that was abandoned may still be writing a chunk there.
            time.sleep(_PAUSE_SECONDS)
        self._memory.close(self)

    def _free(self, array: SharedArray, paths: list[str]) -> None:
        if self._thread is None:
            # To remove large files takes milliseconds each, which the driver's event loop must not wait for.
            self._thread = threading.Thread(
                target=self._free_in_turn, name="asyncexec-chunks", daemon=True
            )
            self._thread.start()
        self._later.put((array.free, paths))

    def _free_in_turn(self) -> None:
        while (item := self._later.get()) is not None:
            free, paths = item
            free(paths)


def fits_files(ref: StoredArray) -> bool:
    """Return whether blocks of an array can be files: elements of one size, with nothing that they refer to."""
    return ref.numpy_dtype.kind != "T" and not ref.numpy_dtype.hasobject


def _newest_first(folder: str) -> list[tuple[str, int]]:
    """Return the names of the files of whole blocks in ``folder``, and their sizes."""
    found: list[tuple[int, str, int]] = []
    for entry in os.scandir(folder):
        if not entry.name.startswith(WRITING):
            with contextlib.suppress(FileNotFoundError):  # It has been freed.
                status = entry.stat()
                found.append((status.st_mtime_ns, entry.name, status.st_size))
    return [(name, size) for _, name, size in sorted(found, reverse=True)]
