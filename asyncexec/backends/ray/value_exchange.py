"""Large values in Ray's object store, as a worker sees them.

A worker does not put them there itself: what it put would be gone with its process. It yields each from the streaming
call that it runs, behind the frame that reports its handle: so the driver owns the object, and is given its reference
without the object itself. References to what a batch reads come with the call.
"""

from __future__ import annotations

import pickle
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from asyncexec.errors import ValueLostError
from asyncexec.events.outcome import Outcome, Status, ValueHandle
from asyncexec.worker.codec import decode_reports

if TYPE_CHECKING:
    from asyncexec.worker.values import PickledValue

PLACE = "Ray's object store"

type Stored = tuple[Any, list[Any], list[bool]]
"""A pickle, the buffers that it refers to, and whether each must not be written to; an object of Ray."""

type FrameWithValues = tuple[bytes, list[str]]
"""A frame, and the keys of the values that are yielded after it."""


class _Call:
    """The values of the call that this process runs; a Ray worker runs one at a time."""

    def __init__(self) -> None:
        self.read: Mapping[str, Any] = {}
        self.made: dict[str, Stored] = {}


_CALL = _Call()


class RayWorkerValues:
    """The values as a worker uses them (see :class:`~asyncexec.worker.values.ValueStore`)."""

    def put(self, attempt: int, value: PickledValue, /) -> ValueHandle:
        """Keep the value that ``attempt`` has returned until its outcome is reported, and it goes to the store."""
        key = str(attempt)
        fixed = [buffer.readonly for buffer in value.buffers]
        # Until then its maker may change it.
        apart = [b if b.readonly else bytearray(b) for b in value.buffers]
        buffers = [pickle.PickleBuffer(buffer) for buffer in apart]
        _CALL.made[key] = (pickle.PickleBuffer(value.data), buffers, fixed)
        return ValueHandle(PLACE, key, value.nbytes)

    def get(self, handle: ValueHandle, /) -> Any:
        """Return a value that came with the call, or that this call has made."""
        return fetch_object(handle, _CALL.read.get(handle.key))

    def delete(self, handles: Collection[ValueHandle], /) -> None:
        """Do nothing: the driver deletes."""


def with_values(
    frames: Iterator[bytes], read: Mapping[str, Any]
) -> Iterator[bytes | FrameWithValues | Stored]:
    """Yield the frames of a call: one that reports values that were made comes with their keys, and before them."""
    _CALL.read, _CALL.made = read, {}
    try:
        for frame in frames:
            keys = [key for key in _kept(frame) if key in _CALL.made] if _CALL.made else []
            if not keys:
                yield frame
                continue
            yield frame, keys
            for key in keys:
                yield _CALL.made.pop(key)
    finally:
        _CALL.read, _CALL.made = {}, {}


def _kept(frame: bytes) -> Iterator[str]:
    for report in decode_reports(frame):
        if not isinstance(report, Outcome) or report.status is not Status.SUCCEEDED:
            continue
        if type(report.value) is ValueHandle:
            yield report.value.key


def fetch_object(handle: ValueHandle, reference: Any) -> Any:
    """Return the value behind a reference; what its reader may change is copied.

    Raises
    ------
    ValueLostError
        If it is gone.
    """
    import ray
    from ray.exceptions import RayError

    if reference is None:
        raise _lost(handle, "it was deleted")
    try:
        data, buffers, fixed = ray.get(reference)
    except RayError as error:
        raise _lost(handle, type(error).__name__) from error
    views = [
        memoryview(buffer).toreadonly() if is_fixed else bytearray(buffer)
        for buffer, is_fixed in zip(buffers, fixed, strict=True)
    ]
    return pickle.loads(data, buffers=views)  # noqa: S301 - the value of a value stage


def _lost(handle: ValueHandle, why: str) -> ValueLostError:
    return ValueLostError(
        f"a value of {handle.nbytes:,} bytes is gone from {handle.place}, where it was kept for the tasks that read "
        f"it: {why}",
        handle,
    )
