"""What a store raises, as errors of ours: which array, which chunk, which path, and what to do."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from asyncexec.errors import AsyncexecError, CorruptArrayError, OutOfSpaceError, StorageError
from asyncexec.storage.places.options import shown

if TYPE_CHECKING:
    from asyncexec.plan.box import Index
    from asyncexec.storage.places.locations import Location

_FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota is used up",
    errno.EFBIG: "a file would be too large",
}


def storage_error(
    error: Exception, location: Location, what: str, *, chunk: Index | None = None, path: str = ""
) -> AsyncexecError:
    """Return ``error`` as one that names the array, the chunk and the path, without secrets.

    ``what`` says what went wrong (``"cannot be written"``). Errors of ours are returned as they are. The number of an
    ``OSError`` is kept, because it decides whether another attempt is worth while.
    """
    if isinstance(error, AsyncexecError):
        return error
    number = error.errno if isinstance(error, OSError) else None
    where = f"{location}" if chunk is None else f"chunk {chunk} of {location}"
    where = f"{where} ({path})" if path else where
    if number in _FULL:
        return _numbered(
            OutOfSpaceError(
                f"{where} {what}: {_FULL[number]}. Nothing of it was kept. Free some space, or write elsewhere"
            ),
            number,
        )
    return _numbered(
        StorageError(f"{where} {what}: {type(error).__name__}: {tell(error, location)}"), number
    )


def missing_chunk(location: Location, chunk: Index, path: str = "") -> CorruptArrayError:
    """Return what to raise for a chunk that is not there, of an array whose chunks have all been written."""
    where = f" ({path})" if path else ""
    return CorruptArrayError(
        f"chunk {chunk} of {location}{where} is gone: an earlier stage wrote it, and somebody removed it. "
        f"Leave the work directory alone while plans run, and run the plan again"
    )


def tell(error: Exception, location: Location) -> str:
    """Return what ``error`` says, without secrets of ``location``."""
    return location.options.hide_in(str(error)).replace(location.url or "\0", shown(location.url))


def cause(error: Exception, location: Location) -> Exception | None:
    """Return ``error`` as a cause that may be shown; None where it might tell a secret."""
    secretive = bool(location.options) or location.url != shown(location.url)
    return None if secretive or location.store is not None else error


def _numbered[E: OSError](error: E, number: int | None) -> E:
    error.errno = number
    return error
