"""Arrays read and written with Zarr: object stores, stores of the caller, shards, filters, unusual codecs."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import zarr
from zarr.core.array_spec import ArrayConfig, ArrayConfigParams
from zarr.errors import BaseZarrError

from asyncexec.errors import ArrayNotFoundError, AsyncexecError, CorruptArrayError
from asyncexec.storage.places.errors import cause, missing_chunk, safe_message, storage_error
from asyncexec.storage.places.stores import open_place
from asyncexec.storage.places.suitability import check_writable

if TYPE_CHECKING:
    from asyncexec.plan.access import Region
    from asyncexec.storage.chunks.arrays import StoredArray


class ZarrChunks:
    """A Zarr array in any store."""

    def __init__(self, ref: StoredArray) -> None:
        self._ref = ref
        self._dtype = ref.numpy_dtype
        self._array = self._opened()

    def read(self, region: Region) -> np.ndarray:
        """Return the elements in ``region``, read-only."""
        forward, flips = _forwards(region)
        try:
            if all(isinstance(along, slice) for along in forward):
                found = self._array[forward]
            else:
                found = self._array.oindex[forward]
        except Exception as error:  # noqa: BLE001 - as the store puts it
            raise self._fault(error, region, "cannot be read") from cause(error, self._ref.location)
        # The ellipsis keeps an array without axes an array.
        turned: Any = (*flips, ...)
        block: np.ndarray = np.asarray(found)[turned]
        block = block if block.dtype == self._dtype else block.astype(self._dtype)
        block.flags.writeable = False
        return block

    def write(self, region: Region, block: np.ndarray) -> None:
        """Write ``block`` to ``region``, which covers whole chunks or shards (or reaches the array's edge)."""
        check_writable(self._ref.location)
        try:
            self._array[region] = block
        except Exception as error:  # noqa: BLE001 - as the store puts it
            raise self._fault(error, region, "cannot be written") from cause(
                error, self._ref.location
            )

    def _opened(self) -> Any:
        ref = self._ref
        try:
            only_read = ref.location.read_only
            place = open_place(ref.location, read_only=only_read)
            array = zarr.open_array(place, mode="r" if only_read else "r+")
            array = _configured(array, dense=ref.dense)
        except AsyncexecError:
            raise
        except FileNotFoundError as error:
            raise ArrayNotFoundError(
                f"there is no Zarr array at {ref.location} any more: somebody removed it"
            ) from error
        except Exception as error:  # noqa: BLE001 - as the store puts it
            raise storage_error(error, ref.location, "cannot be opened") from None
        if (tuple(array.shape), tuple(array.chunks)) != (ref.shape, ref.chunks):
            raise CorruptArrayError(
                f"{ref.location} was replaced while it was in use: "
                f"it has shape {array.shape} and chunks {array.chunks} now, and had {ref.shape} and {ref.chunks}"
            )
        return array

    def _fault(self, error: Exception, region: Region, what: str) -> AsyncexecError:
        first = tuple(
            int(along.start if isinstance(along, slice) else along[0]) // unit
            if _some(along)
            else 0
            for along, unit in zip(region, self._ref.unit, strict=True)
        )
        if type(error).__name__ == "ChunkNotFoundError":  # By name: Zarr 3.1 has no such error.
            return missing_chunk(self._ref.location, first)
        if isinstance(error, BaseZarrError | ValueError | RuntimeError) and not isinstance(
            error, OSError
        ):
            message = safe_message(error, self._ref.location)
            return CorruptArrayError(
                f"chunk {first} of {self._ref.location} {what}: {type(error).__name__}: {message}"
            )
        return storage_error(error, self._ref.location, what, chunk=first)


def _configured(array: Any, *, dense: bool) -> Any:
    # Chunks of nothing but fill values are written too, which Zarr leaves out by default: a missing chunk then means
    # "not written", and a listing shows which tasks are complete.
    wanted: dict[str, Any] = {"write_empty_chunks": True, "read_missing_chunks": not dense}
    known = {field.name for field in fields(ArrayConfig)}  # Zarr 3.1 has fewer.
    config: Any = ArrayConfig.from_dict(
        cast("ArrayConfigParams", {name: on for name, on in wanted.items() if name in known})
    )
    return zarr.Array(
        zarr.AsyncArray(metadata=array.metadata, store_path=array.store_path, config=config)
    )


def _some(along: Any) -> bool:
    return isinstance(along, slice) or len(along) > 0


def _forwards(region: Region) -> tuple[Any, tuple[slice, ...]]:
    """Return ``region`` with positive steps only, as Zarr requires, and the slices that flip the result back."""
    forward: list[Any] = []
    flips: list[slice] = []
    for along in region:
        if isinstance(along, slice) and along.step is not None and along.step < 0:
            positions = range(along.start, -1 if along.stop is None else along.stop, along.step)[
                ::-1
            ]
            forward.append(
                slice(positions.start, positions.stop, positions.step) if positions else slice(0, 0)
            )
            flips.append(slice(None, None, -1))
        else:
            forward.append(along)
            flips.append(slice(None))
    return tuple(forward), tuple(flips)
