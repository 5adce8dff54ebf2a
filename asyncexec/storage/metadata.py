"""The small files that say what is at a place: an array, a group, something else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from zarr.core.sync import sync

from asyncexec.storage.faults import storage_error
from asyncexec.storage.stores import open_place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zarr.storage import StorePath

    from asyncexec.storage.locations import Location

NAMES = ("zarr.json", ".zarray", ".zgroup")


def exists(location: Location) -> bool:
    """Whether there is a Zarr array or group at ``location``."""
    return any(
        _raw(location, open_place(location, read_only=True), name) is not None for name in NAMES
    )


def documents(location: Location, place: StorePath) -> dict[str, bytes]:
    """Return the metadata at ``location``, as it is."""
    found = {name: _raw(location, place, name) for name in NAMES}
    return {name: data for name, data in found.items() if data is not None}


def is_array(found: Mapping[str, bytes]) -> bool:
    """Whether these are the metadata of an array."""
    # One with damaged metadata is an array all the same.
    return not is_group(found) and ("zarr.json" in found or ".zarray" in found)


def is_group(found: Mapping[str, bytes]) -> bool:
    """Whether these are the metadata of a group."""
    return ".zgroup" in found or _node_type(found) == "group"


def _node_type(found: Mapping[str, bytes]) -> str:
    try:
        document = json.loads(found.get("zarr.json", b"null"))
    except ValueError:
        return ""
    return str(document.get("node_type")) if isinstance(document, dict) else ""


def _raw(location: Location, place: StorePath, name: str) -> bytes | None:
    """Return the bytes of a small file at ``location``, None where there is none."""
    local = location.local_path
    try:
        if local is not None:
            return (local / name).read_bytes()
        data = sync((place / name).get())
        return None if data is None else data.to_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except Exception as error:  # noqa: BLE001 - as the store puts it
        raise storage_error(error, location, "cannot be read") from None
