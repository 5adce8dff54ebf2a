"""The outcome of one attempt, as plain data.

These records are made once or more for every task, so they are named tuples: making one costs a quarter of what a
frozen dataclass of the same size costs.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class Status(StrEnum):
    """The way an attempt ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """Its function, its input or its output raised."""
    LOST = "lost"
    """Its worker died or went away."""
    CANCELLED = "cancelled"
    """It was stopped on request, or taken back on request before it started."""
    TIMED_OUT = "timed out"
    """The scheduler stopped it because it ran too long (backends say ``CANCELLED``)."""
    SKIPPED = "skipped"
    """Its function said that there is nothing to do, by a ``SkippedError`` (backends say ``FAILED``)."""


class ErrorInfo(NamedTuple):
    """An exception on a worker, as text; nothing in it is executed on the driver.

    Attributes
    ----------
    type : str
        Qualified name of the exception class (``"builtins.ValueError"``).
    bases : tuple of str
        Qualified names of its base classes, so that subclasses are recognised without importing them.
    message : str
    traceback : str
        As Python prints it.
    exception : BaseException or None
        The exception itself, where the worker shares the driver's process.
    record : str
        What is plain data of the exception, its notes and its causes, as JSON (see ``exception_data/recording``), where
        the worker is in a process of its own.
    """

    type: str
    bases: tuple[str, ...] = ()
    message: str = ""
    traceback: str = ""
    exception: BaseException | None = None
    record: str = ""


class Outcome(NamedTuple):
    """The end of one attempt; exactly one arrives for every attempt handed to a backend.

    Attributes
    ----------
    attempt : int
        The attempt's id.
    status : Status
    worker : str
        The worker that ran it; ``""`` where it never started.
    started_at : float
        Its start on the worker, in seconds since the epoch by the worker's clock; 0.0 where it never started.
    seconds : float
        Its duration, measured on the worker.
    peak_bytes : int
        The most memory the worker's process held while it ran; 0 where that cannot be measured.
    read_bytes, written_bytes : int
        Chunk data, before encoding (uncompressed).
    value : object
        What the kernel returned, for a stage that holds values; an :class:`Encoded` where another process made it,
        and a :class:`ValueHandle` where it stayed near that process. Of an attempt that failed because a value was lost
        which it reads, the handle of that value; because chunks were, :func:`handle_of_chunks` of these.
    error : ErrorInfo or None
    cached : bool
        Whether the value was found in the cache of the stage's results, so that the function was not called.
    width : int
        The number of attempts like it that a slot should run at once, by the times of loading, computing and saving; 0
        where that was not measured.
    """

    attempt: int
    status: Status
    worker: str = ""
    started_at: float = 0.0
    seconds: float = 0.0
    peak_bytes: int = 0
    read_bytes: int = 0
    written_bytes: int = 0
    value: Any = None
    error: ErrorInfo | None = None
    cached: bool = False
    width: int = 0

    @property
    def started(self) -> bool:
        """True where the attempt started on a worker."""
        return self.started_at > 0.0

    @property
    def exception_type(self) -> str:
        """Qualified name of the class of what ended it, as a :class:`TaskError` has it; ``""`` where nothing failed."""
        return _UNSAID.get(self.status, "") if self.error is None else self.error.type


# Where a worker was lost or stopped, nothing is raised that an outcome could hold.
_UNSAID = {
    Status.TIMED_OUT: "builtins.TimeoutError",
    Status.LOST: "asyncexec.errors.WorkerLostError",
}


class Encoded(NamedTuple):
    """A pickled value that nobody has needed to look into yet; it can be passed on as it is.

    ``data`` is a bytearray where a big value was received in place, to spare a copy.
    """

    data: bytes | bytearray


class ValueHandle(NamedTuple):
    """A value that stays near the workers, in a :class:`~asyncexec.worker.values.ValueStore` that finds it by this.

    Attributes
    ----------
    place : str
        Which part of the store, as the store says it.
    key : str
    nbytes : int
        The room that the value takes there.
    on_disk : bool
        Whether it lies on disk, because there was no room in memory.
    """

    place: str
    key: str
    nbytes: int
    on_disk: bool = False


_CHUNKS = "chunks:"


def handle_of_chunks(array: str, chunks: Iterable[tuple[int, ...]]) -> ValueHandle:
    """Return what stands for chunks of an array that are lost or damaged, where else there is the handle of a value."""
    return ValueHandle(array, _CHUNKS + ";".join(",".join(map(str, chunk)) for chunk in chunks), 0)


def chunks_of(handle: ValueHandle) -> list[tuple[int, ...]] | None:
    """Return the chunks that :func:`handle_of_chunks` was given; None for the handle of a value.

    >>> from asyncexec.events.outcome import chunks_of, handle_of_chunks
    >>> chunks_of(handle_of_chunks("x.zarr", [(0, 12), (1, 3)]))
    [(0, 12), (1, 3)]
    """
    head, mark, listed = handle.key.partition(_CHUNKS)
    if head or not mark:
        return None
    return [
        tuple(int(number) for number in chunk.split(",") if number) for chunk in listed.split(";")
    ]


class CachedResult(NamedTuple):
    """The value of an earlier call, which a kernel returns as this so that its outcome says so."""

    value: Any


class ItemOf(NamedTuple):
    """An item of a value as one input; the value is a sequence, and may be ``Encoded`` or a ``ValueHandle``."""

    value: Any
    position: int


class Many(NamedTuple):
    """The values of several tasks as one input; any of them may be ``Encoded``, or a ``ValueHandle``."""

    values: tuple[Any, ...]
