"""Inputs on their way to a worker process: pickled one after another, big buffers beside the pickles.

All inputs of a batch share one pickler's memo, so that what they have in common (a class of a script, say) travels
once. Where one of them cannot be pickled, the batch is pickled again without sharing, to leave out that one alone.
Scripts' classes and functions travel by value (cloudpickle).
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import cloudpickle

from asyncexec.events.outcome import Encoded, Many
from asyncexec.worker.records import AttemptSpec

# Buffers from this size on (arrays, encoded values) are sent from where they are, and received once.
BESIDE_BYTES = 32 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedInputs:
    """The inputs of a batch, as bytes."""

    jobs: Sequence[AttemptSpec]
    """Those whose inputs could be pickled."""
    refused: list[tuple[AttemptSpec, Exception]] = field(default_factory=list)
    """The others, and why."""
    pickles: bytes = b""
    """One pickle after another; empty where no job has inputs."""
    ends: list[int] = field(default_factory=list)
    """Where each job's pickle ends."""
    beside: list[memoryview] = field(default_factory=list)
    """Big buffers, in the order the pickles need them."""
    beside_ends: list[int] = field(default_factory=list)
    """For each job, how many buffers it and those before it need."""


def pack_inputs(jobs: Sequence[AttemptSpec]) -> PackedInputs:
    """Pickle the inputs of ``jobs``; what cannot be pickled is refused, never raised."""
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
        self._beside: list[memoryview] = []
        self._beside_ends: list[int] = []
        self._pickler = self._new_pickler()

    def _new_pickler(self) -> Any:
        return cloudpickle.Pickler(self._stream, protocol=5, buffer_callback=self._keep_inside)

    def add(self, inputs: Iterable[Any]) -> None:
        self._pickler.dump(tuple([_lifted(i) for i in inputs]))
        self._ends.append(self._stream.tell())
        self._beside_ends.append(len(self._beside))

    def forget(self) -> None:
        self._pickler.clear_memo()

    def undo(self) -> None:
        """Drop what a failed :meth:`add` has left."""
        self._stream.seek(self._ends[-1] if self._ends else 0)
        self._stream.truncate()
        del self._beside[self._beside_ends[-1] if self._beside_ends else 0 :]
        self._pickler = self._new_pickler()

    def packed(
        self, jobs: Sequence[AttemptSpec], refused: list[tuple[AttemptSpec, Exception]]
    ) -> PackedInputs:
        return PackedInputs(
            jobs=jobs,
            refused=refused,
            pickles=self._stream.getvalue(),
            ends=self._ends,
            beside=self._beside,
            beside_ends=self._beside_ends,
        )

    def _keep_inside(self, buffer: pickle.PickleBuffer) -> bool:
        raw = buffer.raw()
        if raw.nbytes < BESIDE_BYTES:
            return True
        self._beside.append(raw)
        return False


def _lifted(value: Any) -> Any:
    """Return ``value`` so that big encoded data in it can travel beside the pickle."""
    if type(value) is Encoded and len(value.data) >= BESIDE_BYTES:
        return Encoded(pickle.PickleBuffer(value.data))  # type: ignore[arg-type] # unpickled as bytes again
    if type(value) is Many:
        return Many(tuple([_lifted(v) for v in value.values]))
    return value


class InputReader:
    """Unpickles the inputs of a batch, one job at a time and in order.

    Parameters
    ----------
    pickles : memoryview
    ends, beside_ends : list of int
        As packed.
    beside : list of memoryview
        The buffers beside the pickles.
    """

    def __init__(
        self,
        pickles: memoryview,
        ends: list[int],
        beside_ends: list[int],
        beside: list[memoryview],
    ) -> None:
        self._ends, self._beside_ends = ends, beside_ends
        self._stream = io.BytesIO(pickles)
        self._beside = _Cursor(beside)
        self._unpickler = self._new_unpickler()
        self._failure: BaseException | None = None

    def read(self, position: int) -> tuple[Any, ...]:
        """Return the inputs of the job at ``position``; raises whatever their unpickling raises."""
        try:
            inputs: tuple[Any, ...] = self._unpickler.load()
        except BaseException as error:
            self._go_on_behind(position)
            if self._failure is not None and isinstance(error, pickle.UnpicklingError):
                # As a rule it lacks what it shares with the one that failed first.
                raise self._failure from error
            self._failure = error
            raise
        return inputs

    def _new_unpickler(self) -> pickle.Unpickler:
        # What comes through here was pickled by the driver.
        return pickle.Unpickler(self._stream, buffers=self._beside)  # noqa: S301

    def _go_on_behind(self, position: int) -> None:
        self._stream.seek(self._ends[position])
        self._beside.at = self._beside_ends[position]
        memo = self._unpickler.memo
        self._unpickler = self._new_unpickler()
        self._unpickler.memo = memo


class _Cursor(Iterator[memoryview]):
    """An iterator that can be set."""

    def __init__(self, buffers: list[memoryview]) -> None:
        self._buffers = buffers
        self.at = 0

    def __next__(self) -> memoryview:
        if self.at == len(self._buffers):
            raise StopIteration
        self.at += 1
        return self._buffers[self.at - 1]
