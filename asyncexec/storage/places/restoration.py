"""The metadata of a target that was damaged between two runs of its plan: written again, while its chunks stay."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from asyncexec.storage.places.exclusive import replace_file
from asyncexec.storage.places.objects import objects_at
from asyncexec.storage.places.stamps import stamped

if TYPE_CHECKING:
    from asyncexec.storage.places.locations import Location
    from asyncexec.storage.places.stamps import Stamp

_NAME = "zarr.json"
_OF_OTHERS = ("attributes", "dimension_names", "consolidated_metadata")
"""The parts of the metadata that do not say how chunks are stored, and that users change."""


def is_unreadable(
    location: Location, found: Mapping[str, bytes], names: Sequence[str] | None = None
) -> bool:
    """Return whether there is an array of format 3 at ``location`` whose metadata (``found``) are damaged or gone.

    It does not say whose it is. ``names`` are those of the objects there, where they have been read.
    """
    if found:
        return set(found) == {_NAME} and not isinstance(_parsed(found[_NAME]), dict)
    path = location.local_path
    if path is not None:
        # Chunks without metadata: the file was lost, and not the array.
        return (path / "c").is_dir()
    if names is not None:
        return any(name.startswith("c") for name in names)
    return any(True for _ in objects_at(location, read_only=True).names("c"))


def restore(
    location: Location, found: Mapping[str, bytes], files: Mapping[str, bytes], stamp: Stamp
) -> None:
    """Write the metadata ``files`` with ``stamp``, if those ``found`` describe another array, or cannot be read.

    Raises
    ------
    StorageError, OSError
        If the place cannot be written.
    """
    if _NAME not in files:
        return
    before = _parsed(found.get(_NAME, b""))
    wanted: dict[str, Any] = json.loads(files[_NAME])
    if isinstance(before, dict):
        kept = {name: before[name] for name in _OF_OTHERS if name in before}
        if before == wanted | kept:
            return
        wanted |= kept
    data = json.dumps(wanted, indent=2).encode()
    replace_file(location, _NAME, stamped({_NAME: data}, stamp)[_NAME])


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return None
