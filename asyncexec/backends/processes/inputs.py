"""Pickle the inputs of a batch for a worker process, with large buffers out of band.

All inputs of a batch share one pickler's memo, so that common objects (a class of a script, say) are sent once. If one
of them cannot be pickled, the batch is pickled again without sharing, to leave out only that one. Classes and functions
of scripts are pickled by value (cloudpickle).
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import cloudpickle

from asyncexec.events.outcome import Encoded, Many
from asyncexec.worker.records import AttemptSpec

# Buffers of at least this size (arrays, encoded values) are sent without copying, and received once.
OUT_OF_BAND_BYTES = 32 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedInputs:
    """The inputs of a batch, as bytes."""

    jobs: Sequence[AttemptSpec]
    """The attempts whose inputs could be pickled."""
    refused: list[tuple[AttemptSpec, Exception]] = field(default_factory=list)
    """The other attempts, and the errors."""
    pickles: bytes = b""
    """One pickle after another; empty where no job has inputs."""
    ends: list[int] = field(default_factory=list)
    """The end of each attempt's pickle."""
    out_of_band: list[memoryview] = field(default_factory=list)
    """Large buffers, in the order in which the pickles need them."""
    out_of_band_ends: list[int] = field(default_factory=list)
    """For each attempt, the number of buffers that it and those before it need."""


def pack_inputs(jobs: Sequence[AttemptSpec]) -> PackedInputs:
    """Pickle the inputs of ``jobs``; attempts whose inputs cannot be pickled are refused."""
    if not any(job.inputs for job in jobs):
        return PackedInputs(jobs=jobs)
    packer = _Packer()
    try:
        for job in jobs:
            packer.add(job.inputs)
    except Exception:  # noqa: BLE001 - whatever an item's own pickling raises; found out below
        return _pack_apart(jobs)
    return packer.packed(jobs, [])


def _pack_apart(jobs: Sequence[AttemptSpec]) -> PackedInputs:
    packer = _Packer()
    packed: list[AttemptSpec] = []
    refused: list[tuple[AttemptSpec, Exception]] = []
    for job in jobs:
        try:
            packer.forget()
            packer.add(job.inputs)
        except Exception as error:  # noqa: BLE001 - the same
            packer.undo()
            refused.append((job, error))
        else:
            packed.append(job)
    return packer.packed(packed, refused)


class _Packer:
    def __init__(self) -> None:
        self._stream = io.BytesIO()
        self._ends: list[int] = []
        self._out_of_band: list[memoryview] = []
        self._out_of_band_ends: list[int] = []
        self._pickler = self._new_pickler()

    def _new_pickler(self) -> Any:
        # Without a reference to this object, which would be a circle: inputs are let go as soon as they are packed.
        keep = partial(_keep_inside, self._out_of_band)
        return cloudpickle.Pickler(self._stream, protocol=5, buffer_callback=keep)

    def add(self, inputs: Iterable[Any]) -> None:
        self._pickler.dump(tuple([_lifted(i) for i in inputs]))
        self._ends.append(self._stream.tell())
        self._out_of_band_ends.append(len(self._out_of_band))

    def forget(self) -> None:
        self._pickler.clear_memo()

    def undo(self) -> None:
        """Drop what a failed :meth:`add` has left."""
        self._stream.seek(self._ends[-1] if self._ends else 0)
        self._stream.truncate()
        del self._out_of_band[self._out_of_band_ends[-1] if self._out_of_band_ends else 0 :]
        self._pickler = self._new_pickler()

    def packed(
        self, jobs: Sequence[AttemptSpec], refused: list[tuple[AttemptSpec, Exception]]
    ) -> PackedInputs:
        return PackedInputs(
            jobs=jobs,
            refused=refused,
            pickles=self._stream.getvalue(),
            ends=self._ends,
            out_of_band=self._out_of_band,
            out_of_band_ends=self._out_of_band_ends,
        )


def _keep_inside(out_of_band: list[memoryview], buffer: pickle.PickleBuffer) -> bool:
    """Return whether a buffer is small enough to be in the pickle; others are added to ``out_of_band``."""
    raw = buffer.raw()
    if raw.nbytes < OUT_OF_BAND_BYTES:
        return True
    out_of_band.append(raw)
    return False


def _lifted(value: Any) -> Any:
    """Return ``value`` with large encoded data wrapped, so that it is pickled out of band."""
    if type(value) is Encoded and len(value.data) >= OUT_OF_BAND_BYTES:
        return Encoded(pickle.PickleBuffer(value.data))  # type: ignore[arg-type] # unpickled as bytes again
    if type(value) is Many:
        return Many(tuple([_lifted(v) for v in value.values]))
    return value


class InputReader:
    """Unpickles the inputs of a batch, one attempt at a time and in order.

    Parameters
    ----------
    pickles : memoryview
    ends, out_of_band_ends : list of int
        As packed.
    out_of_band : list of memoryview
        The buffers that travel outside the pickles.
    """

    def __init__(
        self,
        pickles: memoryview,
        ends: list[int],
        out_of_band_ends: list[int],
        out_of_band: list[memoryview],
    ) -> None:
        self._ends, self._out_of_band_ends = ends, out_of_band_ends
        self._stream = io.BytesIO(pickles)
        self._out_of_band = _Cursor(out_of_band)
        self._unpickler = self._new_unpickler()
        self._failure: BaseException | None = None

    def read(self, position: int) -> tuple[Any, ...]:
        """Return the inputs of the job at ``position``; raises whatever their unpickling raises."""
        try:
            inputs: tuple[Any, ...] = self._unpickler.load()
        except BaseException as error:
            self._go_on_behind(position)
            if self._failure is not None and isinstance(error, pickle.UnpicklingError):
                # Usually it refers to an object of the inputs that failed first.
                raise self._failure from error
            self._failure = error
            raise
        return inputs

    def _new_unpickler(self) -> pickle.Unpickler:
        # The driver pickled these.
        return pickle.Unpickler(self._stream, buffers=self._out_of_band)  # noqa: S301 - see above

    def _go_on_behind(self, position: int) -> None:
        self._stream.seek(self._ends[position])
        self._out_of_band.at = self._out_of_band_ends[position]
        memo = self._unpickler.memo
        self._unpickler = self._new_unpickler()
        self._unpickler.memo = memo


class _Cursor(Iterator[memoryview]):
    """An iterator whose position can be set."""

    def __init__(self, buffers: list[memoryview]) -> None:
        self._buffers = buffers
        self.at = 0

    def __next__(self) -> memoryview:
        if self.at == len(self._buffers):
            raise StopIteration
        self.at += 1
        return self._buffers[self.at - 1]
