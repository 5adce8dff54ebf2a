"""The metadata of a target in an object store, exchanged by one conditional write when nothing is missing any more.

The stamp of a run that cannot be resumed goes by the same write. So that everything can be taken back until the run has
ended, the run's metadata are known by what it wrote, and not only by the stamp.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncexec.storage.places.errors import replaced
from asyncexec.storage.places.stamps import stamp_of, stamped
from asyncexec.storage.workspace.staging import with_errors

if TYPE_CHECKING:
    from asyncexec.storage.places.objects import Objects
    from asyncexec.storage.places.stamps import Stamp
    from asyncexec.storage.workspace.target import Target

_ATTEMPTS = 5


def publish_document(target: Target) -> None:
    """Let the metadata of ``target`` say that it is complete, if they are those of the run still.

    Raises
    ------
    TargetReplacedError
        If they are not.
    StorageError
        If they cannot be written.
    """
    with_errors(target.place, lambda objects: _publish(target, objects))


def take_back_document(target: Target) -> None:
    """Let the metadata of ``target`` say that chunks may be missing, if they are those of the run still.

    Raises
    ------
    TargetReplacedError
        If they are not.
    StorageError
        If they cannot be written.
    """
    with_errors(target.place, lambda objects: _take_back(target, objects))


def _publish(target: Target, objects: Objects) -> None:
    name, written = _name(target), target.written
    after = target.complete if target.stamp.plan else None
    # Without reading it first: if nobody has touched it, one request completes the array.
    if written.version and not written.complete:
        data = _with(name, written.data, after)
        if _exchanged(target, objects, data, written.version):
            return
    # Of an earlier run, or a user has changed its attributes meanwhile.
    for _ in range(_ATTEMPTS):
        found = objects.fetch(name)
        if found is None:
            break
        stamp = stamp_of({name: found.data})
        # Complete already: the answer to an earlier try was lost.
        if stamp == target.complete and after is not None:
            return
        if stamp not in (target.stamp, target.complete):
            break
        if _exchanged(target, objects, _with(name, found.data, after), found.version):
            return
    raise replaced(target.place)


def _exchanged(target: Target, objects: Objects, data: bytes, version: str) -> bool:
    # Before it is written, as what follows may be the loss of the answer.
    target.written.data, target.written.version, target.written.complete = data, "", True
    target.written.version = objects.replace(_name(target), data, version)
    target.written.complete = bool(target.written.version)
    return target.written.complete


def _take_back(target: Target, objects: Objects) -> None:
    name, written = _name(target), target.written
    for _ in range(_ATTEMPTS):
        found = objects.fetch(name)
        if found is None:
            return
        stamp = stamp_of({name: found.data})
        if stamp == target.stamp:
            return
        own = written.complete and (found.data, written.version or found.version) == (
            written.data,
            found.version,
        )
        if stamp != target.complete and not own:
            break
        data = _with(name, found.data, target.stamp)
        version = objects.replace(name, data, found.version)
        if version:
            written.data, written.version, written.complete = data, version, False
            return
    raise replaced(target.place)


def _with(name: str, data: bytes, stamp: Stamp | None) -> bytes:
    return stamped({name: data}, stamp)[name]


def _name(target: Target) -> str:
    """Return the name of the file with the stamp."""
    return "zarr.json" if target.ref.zarr_format == 3 else ".zarray"
