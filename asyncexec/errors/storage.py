"""Errors of arrays, files, artifacts and records where they are stored."""

from __future__ import annotations

from asyncexec.errors.base import AsyncexecError


class StorageError(AsyncexecError, OSError):
    """Reading or writing arrays went wrong.

    Attributes
    ----------
    permanent : bool or None
        Whether the same request would fail alike a moment later, so that a task that met it is not tried again. None
        where that is not known.
    """

    permanent: bool | None = None


class StorageRefusedError(StorageError):
    """A store refuses a request, and would again: a name, an option or the request itself is wrong."""

    permanent = True


class StorageAccessError(StorageRefusedError, PermissionError):
    """A store refuses a request because a right or credentials are missing; the message says which."""


class StorageUnavailableError(StorageError, ConnectionError):
    """A store was out of reach or overloaded, also when asked again for a while."""

    permanent = False


class StorageTimeoutError(StorageError, TimeoutError):
    """A store does not answer, also on fresh connections. It has been waited for long enough: it is not tried again.

    Attributes
    ----------
    endpoint : str
        The service that does not answer; ``""`` where that is not known.
    """

    permanent = True
    endpoint = ""


class ArrayNotFoundError(StorageError):
    """There is no Zarr array at that place."""

    permanent = True


class ArrayReplacedError(ArrayNotFoundError):
    """An array was replaced by another one since it was opened."""


class UnfinishedArrayError(StorageError):
    """A run is still writing the array, or has left it incomplete, so that what reads as fill values may be none."""


class CorruptArrayError(StorageError):
    """There is something at that place, and it cannot be read as a Zarr array."""

    permanent = True


class CorruptChunkError(CorruptArrayError):
    """Chunks of an array are damaged, or missing where they must not be.

    Chunks that a run has written itself are made again (see :doc:`/explanation/storage`), so this is met for what the
    run only reads, and for what is damaged again each time.

    >>> import pathlib
    >>> xp.to_zarr(xp.ones(4, chunks=2), "damaged.zarr")
    >>> _ = pathlib.Path("damaged.zarr/c/1").write_bytes(b"garbage")
    >>> import asyncexec.storage as storage
    >>> try:
    ...     storage.read(storage.open_array("damaged.zarr"), (slice(0, 4),))
    ... except ax.errors.CorruptChunkError as error:
    ...     print(error.chunks, error.path[-16:])
    ((1,),) damaged.zarr/c/1

    Attributes
    ----------
    array : str
        The array's place.
    chunks : tuple of tuple of int
        The chunks (shards, where there are shards) that are known to be damaged or missing.
    path : str
        The file or object of the first of them.
    """

    def __init__(
        self,
        message: str,
        *,
        array: str = "",
        chunks: tuple[tuple[int, ...], ...] = (),
        path: str = "",
    ) -> None:
        super().__init__(message)
        self.array = array
        self.chunks = chunks
        self.path = path


class WorkDirError(StorageError):
    """The work directory cannot be made or written to."""

    permanent = True


class TargetExistsError(StorageError):
    """The target holds an array already, and ``overwrite=True`` was not given."""

    permanent = True


class TargetReplacedError(TargetExistsError):
    """A target was replaced or removed while a run was writing to it."""


class CommitConflictError(StorageError):
    """A session with versions was not committed, as its branch has other commits by now; it has all changes."""


class ArtifactNotFoundError(StorageError, FileNotFoundError):
    """There is no artifact of that name, or no such file in it."""


class OutOfSpaceError(StorageError):
    """The disk (or quota) under an array is full."""

    permanent = True


class RunStoreError(StorageError):
    """The database of the records of runs cannot be reached, or refuses what it is asked to do."""


class RunNotFoundError(RunStoreError, KeyError):
    """No record of a run goes by that name or id."""

    __str__ = Exception.__str__  # KeyError quotes its message.
