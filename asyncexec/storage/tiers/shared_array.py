"""Intermediate chunks in files of a memory file system, for workers in several processes of one machine.

A block is one file, of its elements in C order and nothing else, or in the order in which its axes lie in memory with
that order behind them: it is written under another name and renamed, and read as a read-only map, without a copy. It
has no checksum, like everything else in memory; a file of another length is damaged. A block that does not fit, or
whose file cannot be written for whatever reason, is written to the run's directory instead, where readers look for what
they do not find. Only the driver makes folders here: once a run has ended, an attempt that comes late finds nowhere to
write to.
"""

from __future__ import annotations

import itertools
import math
import mmap
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from asyncexec.storage.chunks.access import opened
from asyncexec.storage.places.errors import damaged_chunk
from asyncexec.storage.tiers.blocks import (
    axes_in_memory,
    block_in_order,
    block_number,
    block_region,
    elements_in_order,
    held_bytes,
    read_blocks,
    repeats,
    units_of,
)
from asyncexec.storage.tiers.shared_account import shared_account

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncexec.plan.access import Region
    from asyncexec.plan.box import Index, Shape
    from asyncexec.storage.chunks.arrays import StoredArray
    from asyncexec.storage.tiers.shared_account import SharedAccount

MAP_BYTES = 1 << 20
"""Files of this size and more are mapped, smaller ones read: a process may have no more than some 65,000 maps."""
LEAST_FREE, MOST_FREE_BYTES = 0.25, 2**30
"""The part of the memory file system that is left to others, up to so many bytes."""
WRITING = "w."
"""The beginning of the names of files that are being written."""
INPUTS = "in."
"""The beginning of the names of folders with chunks of inputs that several tasks read."""
CLOSED = "closed"
"""The name of a file in such a folder where nothing is kept any more."""
_numbers = itertools.count()


class SharedArray:
    """An intermediate array of which each block is a file in memory, or in the Zarr array ``ref``; it can be pickled.

    Parameters
    ----------
    ref : StoredArray
        The array for blocks that find no room; made before the run begins.
    block : tuple of int
        The shape of the blocks that the stage writes, in elements.
    folder : str
        The array's folder in the memory file system.
    account : str
        The file of the engine's :class:`~asyncexec.storage.tiers.shared_account.SharedAccount`.
    slot : int
        The run's number in it.
    most_bytes : int, optional
        What the run may hold in memory, whatever others do.
    """

    def __init__(
        self,
        ref: StoredArray,
        block: Shape,
        *,
        folder: str,
        account: str,
        slot: int,
        most_bytes: int | None = None,
    ) -> None:
        self.ref = ref
        self.block = block
        self.folder = folder
        self.shape = ref.shape
        self.numpy_dtype = ref.numpy_dtype
        self._account = account
        self._slot = slot
        self._most = most_bytes
        # By the driver, who frees files in a thread: to free a large one takes a while.
        self.later: Callable[[list[str]], None] = self.free

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "later"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.later = self.free

    def read(self, region: Region) -> np.ndarray:
        """Return the elements in ``region``, read-only; within one block without copying it."""
        return read_blocks(region, self.block, self.numpy_dtype, self._block)

    def write(self, region: tuple[slice, ...], block: np.ndarray) -> None:
        """Keep ``block``, which is exactly one block of the array, in memory, or else on the disk."""
        path = self.path(block_number(region, self.block))
        if self._keep(path, block):
            return
        run_folder = os.path.dirname(self.folder)  # noqa: PTH120 - the same
        if drop_inputs(run_folder, self.free) and self._keep(path, block):
            return
        opened(self.ref).write(region, block)
        # What another attempt of the task has left there would be read instead.
        self.free([path])

    def path(self, index: Index) -> str:
        """Return the file of the block at ``index``."""
        return f"{self.folder}/{'.'.join(map(str, index)) or '0'}"

    def holds(self, index: Index) -> bool:
        """Return whether a block is in memory, or may be where blocks go that find no room there."""
        if os.path.exists(self.path(index)):  # noqa: PTH110 - one object less for every chunk
            return True
        root = self.ref.location.local_path
        if root is None:
            return True  # Not to be asked here: a task that reads it finds out.
        unit = units_of(index, self.block, self.ref.unit)
        return os.path.exists(f"{root}/{self.ref.keys.key(unit)}")  # noqa: PTH110 - the same

    def release(self, indices: Any) -> None:
        """Free these blocks, soon, which no task will read any more."""
        self.later([self.path(index) for index in indices])

    def free(self, paths: list[str]) -> None:
        """Remove these files."""
        freed = 0
        for path in paths:
            with suppress(OSError):
                size = os.stat(path).st_size  # noqa: PTH116 - the same
                os.unlink(path)  # noqa: PTH108 - the same
                freed += size
        if freed:
            self._give_back(freed)

    def clear(self) -> None:
        """Do nothing: the run's folder is removed as a whole."""

    def _block(self, index: Index) -> np.ndarray:
        region = block_region(index, self.block, self.shape)
        held = self._held(index, region)
        return opened(self.ref).read(region) if held is None else held

    def _held(self, index: Index, region: tuple[slice, ...]) -> np.ndarray | None:
        """Return a block that is in memory; None where it is not."""
        path = self.path(index)
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except OSError:
            return None
        shape = tuple([part.stop - part.start for part in region])
        count = math.prod(shape)
        try:
            size = os.fstat(descriptor).st_size
            data: Any = (
                mmap.mmap(descriptor, size, prot=mmap.PROT_READ)
                if size >= MAP_BYTES
                else os.read(descriptor, size)
            )
        finally:
            os.close(descriptor)
        if size == count * self.numpy_dtype.itemsize:
            return np.frombuffer(data, self.numpy_dtype).reshape(shape)
        if size == self.numpy_dtype.itemsize:
            return np.broadcast_to(np.frombuffer(data, self.numpy_dtype)[0], shape)
        if size == count * self.numpy_dtype.itemsize + len(shape):
            elements, axes = np.frombuffer(data, self.numpy_dtype, count), data[-len(shape) :]
            if (block := block_in_order(elements, axes, shape)) is not None:
                return block
        unit = units_of(index, self.block, self.ref.unit)
        raise damaged_chunk(self.ref.location, unit, path, f"it holds {size} bytes")

    def _keep(self, path: str, block: np.ndarray) -> bool:
        """Write the file of a block; return False where there is no room for it."""
        axes = axes_in_memory(block)
        size = held_bytes(block) + len(axes)
        if not block.nbytes or not self._take(size):
            return False
        try:
            replaced = self._write(path, block, axes, size)
        except OSError:
            # Full, or not to be reached from here: the directory has to do, and says so where it cannot.
            self._give_back(size)
            return False
        if replaced:
            self._give_back(replaced)
        return True

    def _write(self, path: str, block: np.ndarray, axes: bytes, size: int) -> int:
        """Write the file of a block, in the order of ``axes``; return the bytes of the one that it replaces."""
        data = block[(0,) * block.ndim] if repeats(block) else block
        whole = memoryview(elements_in_order(data, axes).view(np.uint8))
        # The name says who writes it and what is reserved for it, should the writer be killed.
        temporary = f"{self.folder}/{WRITING}{os.getpid()}.{next(_numbers)}.{size}"
        try:
            _write_file(temporary, whole, axes)
            try:
                replaced = os.stat(path).st_size  # noqa: PTH116 - the same
            except FileNotFoundError:
                replaced = 0
            os.replace(temporary, path)  # noqa: PTH105 - the same
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)  # noqa: PTH108 - the same
            raise
        return replaced

    def _take(self, size: int) -> bool:
        try:
            if free_bytes(self.folder) < size:
                return False
            account = shared_account(self._account)
            if account.take(self._slot, size, self._most):
                return True
            return account.sweep_is_due(time.time()) and self._sweep(account, size)
        except OSError:  # The run has ended, or its memory is not to be seen from here.
            return False

    def _sweep(self, account: SharedAccount, size: int) -> bool:
        """Remove what killed writers have left of the run, and reserve ``size`` bytes if that made room."""
        for array in os.scandir(os.path.dirname(self.folder)):  # noqa: PTH120 - the same
            for left in os.scandir(array.path):
                if not left.name.startswith(WRITING):
                    continue
                _, process, _, reserved = left.name.split(".")
                if _is_dead(int(process)):
                    with suppress(FileNotFoundError):
                        os.unlink(left.path)  # noqa: PTH108 - the same
                        account.give_back(self._slot, int(reserved))
        return account.take(self._slot, size, self._most)

    def _give_back(self, size: int) -> None:
        with suppress(OSError):  # The run has ended.
            shared_account(self._account).give_back(self._slot, size)


def free_bytes(folder: str) -> int:
    """Return the bytes that may still be used of a memory file system.

    Raises
    ------
    OSError
        If it is not to be seen from here.
    """
    found = os.statvfs(folder)
    unit = found.f_frsize
    left = min(LEAST_FREE * found.f_blocks * unit, MOST_FREE_BYTES)
    return max(0, int(found.f_bavail * unit - left))


def drop_inputs(run_folder: str, free: Callable[[list[str]], None]) -> int:
    """Have ``free`` remove the chunks of inputs that a run keeps, which are read again from then on.

    Return their bytes.
    """
    total = 0
    with suppress(OSError):  # The run has ended.
        for folder in os.scandir(run_folder):
            closed = f"{folder.path}/{CLOSED}"
            if folder.name.startswith(INPUTS) and not os.path.exists(closed):  # noqa: PTH110 - the same
                os.close(os.open(closed, os.O_WRONLY | os.O_CREAT, 0o600))
                files = [file for file in os.scandir(folder.path) if file.name[0].isdigit()]
                total += sum([file.stat().st_size for file in files])
                free([file.path for file in files])
    return total


def _write_file(path: str, *parts: memoryview | bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        for part in parts:
            # A write may be partial: of more than 2 GiB on Linux, for one.
            done = 0
            while done < len(part):
                done += os.write(descriptor, part[done:])
    finally:
        os.close(descriptor)


def _is_dead(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
