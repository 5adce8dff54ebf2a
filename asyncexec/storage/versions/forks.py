"""Forks of a session on workers: each attempt writes into one of its own, and returns it as the task's value.

Of several attempts of a task the scheduler takes one outcome, and with it one fork. What the others have written is in
forks that nobody merges: it can change nothing, however late it comes.
"""

from __future__ import annotations

import os
import pickle
from collections import OrderedDict
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TYPE_CHECKING, Any

from asyncexec.storage.chunks.zarr_chunks import ZarrChunks

if TYPE_CHECKING:
    import numpy as np

    from asyncexec.plan.access import Region
    from asyncexec.plan.box import Index, Shape
    from asyncexec.plan.stage import InThread
    from asyncexec.storage.chunks.arrays import StoredArray
    from asyncexec.storage.chunks.block_io import BlockIO, TaskOutput

KEPT_SOURCES = 4
"""The number of sources of which a process keeps unused forks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartOfArray:
    """The part of an array in a session that one output of a stage is.

    Attributes
    ----------
    array : StoredArray
        The whole array.
    begin : tuple of int
        The first element of the part along each axis.
    """

    array: StoredArray
    begin: Shape


@dataclass(frozen=True, eq=False)
class ForkSource:
    """The state of a session that every attempt begins with.

    Attributes
    ----------
    key : str
        Its name, for the forks that a process keeps.
    pickled : bytes
        A fork in that state.
    here : object
        That fork itself, where its repository is in this process's memory; it does not travel.
    """

    key: str
    pickled: bytes
    here: Any = None
    lock: Lock = field(default_factory=Lock, repr=False)

    def new(self) -> Any:
        """Return a fork in that state, which shares nothing with others."""
        if self.here is None:
            return pickle.loads(self.pickled)  # noqa: S301 - made by the driver
        with self.lock:  # A fork of a fork is a snapshot of its own, for which forks would compete.
            return self.here.fork()

    def __reduce__(self) -> tuple[type[ForkSource], tuple[str, bytes]]:
        return ForkSource, (self.key, self.pickled)


class _Fork:
    """A fork of a session, with the arrays that were opened in it."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self._outputs: dict[str, BlockIO] = {}

    def outputs(self, io: ForkIO) -> BlockIO:
        """Return what saves the output of a stage's tasks into this fork."""
        found = self._outputs.get(io.stage)
        if found is None:
            store = self.session.store
            targets = tuple(
                replace(output, array=_WrittenPart(output.ref, part, store))
                for output, part in zip(io.outputs, io.parts, strict=True)
            )
            found = replace(io.blocks, sources=(), targets=targets)
            self._outputs[io.stage] = found
        return found


class _WrittenPart:
    """The part of an array that tasks write, opened in a fork."""

    def __init__(self, ref: StoredArray, part: PartOfArray, store: Any) -> None:
        self.ref = ref
        self.shape = ref.shape
        self.numpy_dtype = ref.numpy_dtype
        self._begin = part.begin
        self._chunks = ZarrChunks(part.array.at(replace(part.array.location, store=store)))

    def read(self, region: Region) -> np.ndarray:
        """Return what ``region`` takes."""
        return self._chunks.read(self._in_array(region))

    def write(self, region: tuple[slice, ...], block: np.ndarray) -> None:
        """Write ``block`` to ``region``."""
        self._chunks.write(self._in_array(region), block)

    def _in_array(self, region: Region) -> tuple[Any, ...]:
        along: Any = zip(region, self._begin, strict=True)
        return tuple(slice(part.start + begin, part.stop + begin) for part, begin in along)


_lock = Lock()
_unused: OrderedDict[tuple[int, str], list[_Fork]] = OrderedDict()


@contextmanager
def _fork_of(source: ForkSource) -> Generator[_Fork]:
    """Give a fork in the state of ``source`` to one attempt alone; it is used again only after it was as before."""
    # A process that was forked must not go on with the connections of its parent.
    key = os.getpid(), source.key
    with _lock:
        waiting = _unused.get(key)
        # Used again, as a new one has to be unpickled, and its arrays opened in it.
        fork = waiting.pop() if waiting else None
    fork = fork or _Fork(source.new())
    # Not in a `try`: a fork in which an attempt has failed is not used again.
    yield fork
    with suppress(Exception):  # One that cannot go back to its state is not used again.
        fork.session.discard_changes()
        with _lock:
            _unused.setdefault(key, []).append(fork)
            _unused.move_to_end(key)
            # Runs that have ended elsewhere say nothing here: the oldest go.
            while len(_unused) > KEPT_SOURCES:
                _unused.popitem(last=False)


def forget_forks(source: ForkSource) -> None:
    """Let go of the unused forks of ``source`` in this process, as its run has ended."""
    with _lock:
        _unused.pop((os.getpid(), source.key), None)


@dataclass(frozen=True, eq=False, kw_only=True)
class ForkIO:
    """The :class:`~asyncexec.plan.stage.TaskIO` of a stage that writes into a session.

    Attributes
    ----------
    stage : str
    blocks : BlockIO
        The blocks that tasks read.
    outputs : tuple of TaskOutput
        The blocks that they write.
    parts : tuple of PartOfArray
        By output: the place of what is written in its array.
    source : ForkSource
    """

    stage: str
    blocks: BlockIO
    outputs: tuple[TaskOutput, ...]
    parts: tuple[PartOfArray, ...]
    source: ForkSource

    def load(self, index: Index) -> tuple[tuple[Any, ...], int]:
        """Return the kernel's inputs for the task, and their size in bytes (uncompressed)."""
        return self.blocks.load(index)

    def save(self, index: Index, result: Any) -> tuple[int, bytes]:
        """Write the task's blocks into a fork; return their size in bytes (uncompressed), and the fork, pickled.

        Raises
        ------
        ChunkMismatchError
            If the kernel did not return what the stage declares.
        StorageError
            If the store fails.
        """
        with _fork_of(self.source) as fork:
            written = fork.outputs(self).save(index, result)
            return written, pickle.dumps(fork.session)

    @property
    def requests(self) -> int:
        """The number of tasks that one process loads and saves at once: 1 for a repository in its memory."""
        return 1 if self.source.here is not None else self.blocks.most_requests

    async def aload(self, index: Index, in_thread: InThread) -> tuple[tuple[Any, ...], int]:
        """Do what :meth:`load` does, without blocking the event loop."""
        return await self.blocks.aload(index, in_thread)

    async def asave(self, index: Index, result: Any, in_thread: InThread) -> tuple[int, bytes]:
        """Do what :meth:`save` does, without blocking the event loop."""
        saved: tuple[int, bytes] = await in_thread(self.save, index, result)
        return saved

    def nbytes(self, index: Index) -> int:
        """Return the bytes (uncompressed) that the task reads and writes."""
        return replace(self.blocks, targets=self.outputs).nbytes(index)


def merge_forks(_index: Index, forks: Sequence[bytes]) -> bytes:
    """Return one fork, pickled, that has the changes of all ``forks``: the kernel of stages that merge."""
    first, *others = map(pickle.loads, forks)
    first.merge(*others)
    return pickle.dumps(first)
