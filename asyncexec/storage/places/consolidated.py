"""Consolidated metadata: a group's own list of what is in it, which readers trust instead of looking."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any

from asyncexec.errors import StorageError
from asyncexec.storage.places.errors import storage_error
from asyncexec.storage.places.exclusive import replace_file
from asyncexec.storage.places.identity import identity
from asyncexec.storage.places.metadata import read_files
from asyncexec.storage.places.stamps import stamped

if TYPE_CHECKING:
    from asyncexec.storage.places.locations import Location

type Nodes = Mapping[str, Mapping[str, bytes]]
"""The metadata files of arrays and groups, by their path in the group, then by their name."""

_ATTEMPTS = 5


def announce(group: Location, nodes: Nodes) -> None:
    """Enter ``nodes`` in the consolidated metadata of ``group``, if it has any.

    Raises
    ------
    StorageError
        If they cannot be read or written.
    """
    _update(group, nodes)


def withdraw(group: Location, paths: Sequence[str]) -> None:
    """Take what is at ``paths`` out of the consolidated metadata of ``group``, if it has any.

    Raises
    ------
    StorageError
        If they cannot be read or written.
    """
    _update(group, {path: {} for path in paths})


def is_consolidated(group: Location) -> bool:
    """Return whether ``group`` has consolidated metadata."""
    return _read(group) is not None


def _update(group: Location, nodes: Nodes) -> None:
    with _lock_of(group):
        # Read again after it was written, until what was to be there is there.
        for _ in range(_ATTEMPTS):
            found = _read(group)
            if found is None:
                return
            name, document = found
            # Written by another process meanwhile, what is there lacks the nodes: then again.
            if not _entered(name, document, nodes):
                return
            try:
                replace_file(group, name, json.dumps(document, indent=2).encode())
            except Exception as error:  # noqa: BLE001 - as the store puts it
                raise storage_error(error, group, "cannot be written") from None
    raise StorageError(
        f"the consolidated metadata of {group} are being written by others all the time: consolidate them again by "
        f"zarr.consolidate_metadata when these have ended"
    )


def _read(group: Location) -> tuple[str, Any] | None:
    """Return the file with the consolidated metadata of ``group`` and what it holds; None where there are none."""
    for name, data in read_files(group, ("zarr.json", ".zmetadata")).items():
        try:
            document = json.loads(data)
        except ValueError:
            continue
        if isinstance(document, dict) and isinstance(_listed(name, document), dict):
            return name, document
    return None


def _listed(name: str, document: Mapping[str, Any]) -> Any:
    held = document.get("consolidated_metadata") or {} if name == "zarr.json" else document
    return held.get("metadata")


def _entered(name: str, document: Any, nodes: Nodes) -> bool:
    """Change ``document`` so that it has ``nodes``, and return whether it had not."""
    listed = _listed(name, document)
    before = dict(listed)
    for path, files in nodes.items():
        if name == "zarr.json":
            listed.pop(path, None)
            for data in files.values():
                listed[path] = json.loads(data)
            continue
        for each in (".zarray", ".zgroup", ".zattrs"):
            listed.pop(f"{path}/{each}", None)
        listed.update({f"{path}/{each}": json.loads(data) for each, data in files.items()})
    return bool(listed != before)


def node_files(location: Location) -> dict[str, bytes]:
    """Return the metadata files of the array or group at ``location`` as they stand in consolidated metadata."""
    return stamped(read_files(location, ("zarr.json", ".zarray", ".zgroup", ".zattrs")), None)


@contextmanager
def _lock_of(group: Location) -> Generator[None]:
    """Keep out other writers to the same list: of this process, and on a disk of this machine."""
    with _locks()[hash(identity(group)) % 16]:
        path = group.local_path
        if path is None:
            yield
            return
        # The lock is on the folder: the file itself is another one after each write.
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


@cache
def _locks() -> tuple[Lock, ...]:
    return tuple(Lock() for _ in range(16))
