"""The input and output blocks of the tasks of an array stage: loading them, checking them and saving them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from os import getpid
from typing import TYPE_CHECKING, Any

import numpy as np

from asyncexec.errors import ChunkMismatchError, WriteConflictError
from asyncexec.plan.access_map import Needed, ReadRegion
from asyncexec.plan.box import next_index
from asyncexec.plan.lengths import block_at, block_start, misplaced_border
from asyncexec.plan.masked import unmasked
from asyncexec.storage.chunks.access import opened, opened_in
from asyncexec.storage.chunks.arrays import StoredArray
from asyncexec.storage.chunks.awaited_opening import all_of, aopened
from asyncexec.storage.chunks.buffers import BUFFERS, LEAST_BYTES
from asyncexec.storage.chunks.chunk_slices import indexer, shape_of
from asyncexec.storage.chunks.codec_libraries import codec_words

if TYPE_CHECKING:
    from asyncexec.plan.access import Region
    from asyncexec.plan.access_map import AccessMap
    from asyncexec.plan.box import Index, Shape
    from asyncexec.plan.pieces import Pieces
    from asyncexec.plan.stage import InThread
    from asyncexec.storage.chunks.block_protocols import Readable, Selection, SharedReader, Writable


type Part = tuple[TaskOutput, tuple[slice, ...], np.ndarray]
"""A block that a task has made, and where it is to be written."""

MOST_REQUESTS = 128
"""The requests to stores elsewhere that one process has in flight, unless somebody says another number."""


@dataclass(frozen=True, eq=False)
class InMemory:
    """A NumPy array in the driver's memory; within one process it is shared, not copied.

    To other processes it is sent with the program, or by way of the run's directory, in ``chunks``, if it is large (see
    :mod:`asyncexec.storage.workspace.stage_inputs`).
    """

    data: np.ndarray
    chunks: Shape | None = None

    @property
    def shape(self) -> Shape:
        """The array's shape."""
        return self.data.shape

    @property
    def numpy_dtype(self) -> np.dtype[Any]:
        """The element type."""
        return self.data.dtype

    def read(self, region: Region) -> np.ndarray:
        """Return what ``region`` takes, read-only; slices are views."""
        # Of one element, NumPy makes a scalar, and text in it as long as it is.
        block = np.asarray(self.data[indexer(region)], self.data.dtype).view()
        block.flags.writeable = False
        return block

    def __repr__(self) -> str:
        return f"InMemory({self.data.dtype}{list(self.data.shape)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskInput:
    """One input of a stage's kernel.

    Attributes
    ----------
    array : StoredArray, InMemory, or another thing to read blocks from
    select : Selection
        The region that the task at an index reads.
    kept : KeptInput, optional
        What the array is read through in this process, where tasks share chunks of it.
    """

    array: StoredArray | Readable
    select: Selection
    kept: SharedReader | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOutput:
    """One output of a stage's kernel: task ``index`` writes the block at ``index * block``, cut to the array's shape.

    With an ``access``, it writes the region that this maps the index to: one whole block, and each task another.

    Raises
    ------
    WriteConflictError
        If blocks do not cover whole chunks (or shards), so that two tasks would write one.
    """

    array: StoredArray | Writable
    block: Shape
    access: AccessMap | None = None

    def __post_init__(self) -> None:
        ref = self.ref
        fits = zip(ref.shape, self.block, ref.unit, strict=True)
        if any(misplaced_border(*each) is not None for each in fits):
            raise WriteConflictError(
                f"blocks of {self.block} do not cover whole units of {ref.unit} of {ref.location}, "
                f"so that two tasks would write one"
            )

    @property
    def ref(self) -> StoredArray:
        """The array that is written."""
        return self.array if isinstance(self.array, StoredArray) else self.array.ref

    @property
    def shape(self) -> Shape:
        """The array's shape."""
        return self.array.shape

    def number(self, index: Index) -> Index:
        """Return the number of the block that the task at ``index`` writes."""
        if self.access is None:
            return index
        along = zip(self.region(index), self.block, strict=True)
        return tuple([block_at(block, part.start) for part, block in along])

    def region(self, index: Index) -> tuple[slice, ...]:
        """Return the region that the task at ``index`` writes, in elements."""
        if self.access is not None:
            return tuple([axis.region(index) for axis in self.access.axes])
        along = zip(index, self.block, self.array.shape, strict=True)
        # Of regular blocks without a call, as it is asked for every chunk.
        return tuple(
            [
                slice(b * i, min(b * i + b, n))
                if type(b) is int
                else slice(block_start(b, i), min(block_start(b, i + 1), n))
                for i, b, n in along
            ]
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class BlockIO:
    """A stage's :class:`~asyncexec.plan.stage.TaskIO`: the blocks that each task reads and writes.

    The kernel gets one input per source (None where the task needs nothing of it, by the guards of its access), and
    returns one array per target (the array itself where there is one target, else a tuple).

    Attributes
    ----------
    sources : tuple of TaskInput
    targets : tuple of TaskOutput
    label : str
        The stage's name in messages.
    most_requests : int
        The number of tasks that one process loads and saves at once, where arrays are in stores elsewhere.
    pieces : Pieces or None
        The pieces that each task takes one after another: then ``load`` is for the index of a piece.
    """

    sources: tuple[TaskInput, ...] = ()
    targets: tuple[TaskOutput, ...] = ()
    label: str = ""
    most_requests: int = MOST_REQUESTS
    pieces: Pieces | None = None

    def load(self, index: Index) -> tuple[tuple[Any, ...], int]:
        """Return the kernel's inputs for the task, and their size in bytes (uncompressed)."""
        numbers = self._needed(index)
        if self.reads_ahead and len(numbers) > 1:
            return self._load_at_once(index)
        if self._reuses:
            BUFFERS.begin(self)
        inputs: list[Any] = [None] * len(self.sources)
        total = 0
        for number in numbers:
            source = self.sources[number]
            array = source.array
            reader: Any = source.kept
            if reader is None:
                reader = opened_in(array, getpid()) if isinstance(array, StoredArray) else array
            block = reader.read(source.select(index))
            total += block.nbytes
            inputs[number] = block
        if self._reuses and self._grid is not None and (after := next_index(index, self._grid)):
            self.announce(after)  # Likely to be the next task, here or on another worker.
        return tuple(inputs), total

    def begin(self) -> None:
        """Let the memory go that another stage's tasks have left in this thread to be used again."""
        if BUFFERS.has_user:
            BUFFERS.end_of_others(self)

    def announce(self, index: Index) -> None:
        """Have the system fetch the files that :meth:`load` reads for ``index``, where they are large."""
        if not self._reuses:
            return
        for number in self._needed(index):
            source = self.sources[number]
            if (
                isinstance(source.array, StoredArray)
                and source.array.location.local_path is not None
            ):
                fetch = getattr(opened(source.array), "announce", None)
                if fetch is not None:
                    fetch(source.select(index))

    def save(self, index: Index, result: Any) -> int:
        """Write the task's blocks, each chunk whole or not at all; return their size in bytes (uncompressed).

        Raises
        ------
        ChunkMismatchError
            If the kernel did not return what the stage declares: another number of arrays, shape or dtype.
        TypeError
            If it returned a masked array with masked elements.
        """
        total = 0
        for target, region, block in self._parts(index, result):
            array = target.array
            writable = opened_in(array, getpid()) if isinstance(array, StoredArray) else array
            writable.write(region, block)
            total += block.nbytes
        return total

    async def aload(self, index: Index, in_thread: InThread) -> tuple[tuple[Any, ...], int]:
        """Do what :meth:`load` does, without blocking the event loop; the inputs are fetched at the same time."""
        numbers = tuple(self._needed(index))
        reads = [self._aread(self.sources[number], index, in_thread) for number in numbers]
        inputs: list[Any] = [None] * len(self.sources)
        total = 0
        blocks = [await reads[0]] if len(reads) == 1 else await all_of(reads)
        for number, block in zip(numbers, blocks, strict=True):
            total += block.nbytes
            inputs[number] = block
        return tuple(inputs), total

    async def asave(self, index: Index, result: Any, in_thread: InThread) -> int:
        """Do what :meth:`save` does, without blocking the event loop; the outputs are written at the same time."""
        parts = self._parts(index, result)
        del result
        if len(parts) == 1:
            await self._awrite(parts[0], in_thread)
            return parts[0][2].nbytes
        await all_of([self._awrite(part, in_thread) for part in parts])
        return sum(block.nbytes for _, _, block in parts)

    def nbytes(self, index: Index) -> int:
        """Return the bytes (uncompressed) that the task reads and writes, as ``load`` and ``save`` will count them."""
        total = 0
        for piece in (index,) if self.pieces is None else self.pieces.of(index):
            for number in self._needed(piece):
                source = self.sources[number]
                elements = math.prod(shape_of(source.select(piece)))
                total += elements * source.array.numpy_dtype.itemsize
        for target in self.targets:
            total += math.prod(shape_of(target.region(index))) * target.array.numpy_dtype.itemsize
        return total

    def bound(self, change: Callable[[StoredArray], StoredArray | Writable]) -> BlockIO:
        """Return the same with ``change`` applied to every reference to an array."""
        return replace(
            self,
            sources=tuple(
                replace(s, array=change(s.array)) if isinstance(s.array, StoredArray) else s
                for s in self.sources
            ),
            targets=tuple(replace(t, array=change(t.ref)) for t in self.targets),
        )

    def __getstate__(self) -> dict[str, Any]:
        # Workers find out for themselves what is derived.
        return {name: self.__dict__[name] for name in self.__dataclass_fields__}

    @cached_property
    def _needed(self) -> Needed:
        """The sources that a task reads, by its index."""
        selections = [source.select for source in self.sources]
        return Needed([s.access if isinstance(s, ReadRegion) else None for s in selections])

    @cached_property
    def reads_ahead(self) -> bool:
        """True where all that is read is in stores elsewhere, and what passes while it is read has room for more.

        The projected memory counts twice what is read there, as Zarr holds it so.
        """
        arrays = [s.array for s in self.sources]
        return bool(arrays) and all(
            isinstance(a, StoredArray) and a.location.is_elsewhere for a in arrays
        )

    def _load_at_once(self, index: Index) -> tuple[tuple[Any, ...], int]:
        """Load the inputs for the task by requests that are under way at the same time."""
        import asyncio  # noqa: PLC0415 - workers that await nothing need none

        from asyncexec.storage.chunks.request_loop import run_on_loop  # noqa: PLC0415 - the same

        return next(run_on_loop([self.aload(index, asyncio.to_thread)], 1))

    @cached_property
    def _grid(self) -> Shape | None:
        """The grid of tasks, made of the blocks that they write; None where these are no grid."""
        if not self.targets or self.targets[0].access is not None or self.pieces is not None:
            return None
        along = zip(self.targets[0].shape, self.targets[0].block, strict=True)
        return tuple([-(-n // block) for n, block in along])

    @cached_property
    def _reuses(self) -> bool:
        """True where chunks are large, so that they are read into memory that is used again."""
        arrays = [s.array for s in self.sources if isinstance(s.array, StoredArray)]
        return any(math.prod(a.chunks) * a.numpy_dtype.itemsize >= LEAST_BYTES for a in arrays)

    @property
    def codecs(self) -> str:
        """The codecs of its arrays and their libraries in this process, such as ``"zstd by numcodecs"``."""
        arrays = [s.array for s in self.sources] + [t.array for t in self.targets]
        return codec_words([a for a in arrays if isinstance(a, StoredArray)])

    @cached_property
    def requests(self) -> int:
        """The number of tasks that one process loads and saves at once: 1 where all is on this machine."""
        arrays = [s.array for s in self.sources] + [t.array for t in self.targets]
        far = [a for a in arrays if isinstance(a, StoredArray) and a.location.is_elsewhere]
        return self.most_requests if far else 1

    async def _aread(self, source: TaskInput, index: Index, in_thread: InThread) -> np.ndarray:
        array, region = source.array, source.select(index)
        if isinstance(array, StoredArray):
            chunks = await aopened(array, self.most_requests, in_thread)
            kept = source.kept
            return await (chunks.aread(region) if kept is None else kept.aread(region, chunks))
        return array.read(region)

    async def _awrite(self, part: Part, in_thread: InThread) -> None:
        target, region, block = part
        array = target.array
        if isinstance(array, StoredArray):
            chunks = await aopened(array, self.most_requests, in_thread)
            await chunks.awrite(region, block)
        else:
            await in_thread(array.write, region, block)

    def _parts(self, index: Index, result: Any) -> list[Part]:
        """Return the blocks that a task has made, as they are to be written, and where."""
        blocks = (result,) if len(self.targets) == 1 else self._several(index, result)
        parts: list[Part] = []
        for target, given in zip(self.targets, blocks, strict=True):
            region = target.region(index)
            parts.append((target, region, self._checked(index, target, region, given)))
        return parts

    def _several(self, index: Index, result: Any) -> tuple[Any, ...]:
        if not isinstance(result, tuple) or len(result) != len(self.targets):
            returned = (
                f"a tuple of {len(result)}" if isinstance(result, tuple) else type(result).__name__
            )
            raise ChunkMismatchError(
                f"{self._task(index)} must return a tuple of {len(self.targets)} arrays, and returned {returned}"
            )
        return result

    def _checked(
        self, index: Index, target: TaskOutput, region: tuple[slice, ...], given: Any
    ) -> np.ndarray:
        if type(given) is not np.ndarray:  # which has no mask
            given = np.asarray(unmasked(given, f"what {self._task(index)} returned"))
        block: np.ndarray = given
        shape = tuple([along.stop - along.start for along in region])
        if block.shape != shape:
            raise ChunkMismatchError(
                f"{self._task(index)} returned a block of shape {block.shape} where shape {shape} is to be written. "
                f"Declare the chunks that the function returns, or change what it returns"
            )
        if block.dtype != target.array.numpy_dtype:
            raise ChunkMismatchError(
                f"{self._task(index)} returned elements of type {block.dtype} where {target.ref.dtype} "
                f"is to be written. Pass dtype={str(block.dtype)!r}, or return block.astype({target.ref.dtype!r})"
            )
        return block

    def _task(self, index: Index) -> str:
        return f"the function of {self.label or 'a stage'}, for chunk {index},"


# The old names.
Source = TaskInput
Target = TaskOutput
