"""The metadata files at a place: they show whether it holds an array, a group or something else."""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import TYPE_CHECKING

from asyncexec.storage.places.ahead import Ahead
from asyncexec.storage.places.errors import storage_error
from asyncexec.storage.places.objects import objects_at
from asyncexec.storage.places.stamps import FIELD

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from asyncexec.storage.places.locations import Location

NAMES = ("zarr.json", ".zarray", ".zgroup")


def exists(location: Location) -> bool:
    """Return whether there is a Zarr array or group at ``location``."""
    return bool(documents(location))


def documents(location: Location) -> dict[str, bytes]:
    """Return the metadata files at ``location``, by name."""
    return _DOCUMENTS.answer(location)


def documents_ahead(
    locations: Iterable[Location], *, least: int = 2
) -> AbstractContextManager[None]:
    """Have the metadata files at ``locations`` read at the same time; the first :func:`documents` of each has them.

    Every later one reads anew. What nobody has asked for by the end is forgotten. Of fewer than ``least``, none is read
    ahead.
    """
    return _DOCUMENTS.asked(locations, least=least)


def read_file(location: Location, name: str) -> bytes | None:
    """Return a small file at ``location``; None where there is no such file."""
    return _read(location, (name,)).get(name)


def read_files(location: Location, names: Sequence[str]) -> dict[str, bytes]:
    """Return those small files at ``location`` that there are, by name, in this order; read at the same time."""
    found = _read(location, names)
    return {name: found[name] for name in names if name in found}


_OF_OTHERS = ("attributes", "dimension_names", "consolidated_metadata")
"""The parts of an array's metadata that do not say how chunks are stored, and that users change."""


def array_document(found: Mapping[str, bytes]) -> str:
    """Return, as JSON, how the chunks of the array with these metadata files are stored; empty where it is not known.

    It is the same text for the same array, whoever wrote the file, and whatever attributes and stamp it has.
    """
    for name in ("zarr.json", ".zarray"):
        try:
            document = json.loads(found.get(name, b"null"))
        except ValueError:
            continue
        if isinstance(document, dict):
            # Sorted and without what users change: plans that read the array keep their fingerprint.
            kept = {k: v for k, v in document.items() if k not in (*_OF_OTHERS, FIELD)}
            # Interned, so that many references of one array are pickled with one text.
            return sys.intern(json.dumps(kept, sort_keys=True, separators=(",", ":")))
    return ""


def is_array(found: Mapping[str, bytes]) -> bool:
    """Return whether these are the metadata files of an array."""
    # An array with damaged metadata counts, so that it can be replaced.
    return not is_group(found) and ("zarr.json" in found or ".zarray" in found)


def is_group(found: Mapping[str, bytes]) -> bool:
    """Return whether these are the metadata files of a group."""
    return ".zgroup" in found or _node_type(found) == "group"


def _node_type(found: Mapping[str, bytes]) -> str:
    try:
        document = json.loads(found.get("zarr.json", b"null"))
    except ValueError:
        return ""
    return str(document.get("node_type")) if isinstance(document, dict) else ""


def _read(location: Location, names: Sequence[str]) -> dict[str, bytes]:
    """Return those small files at ``location`` that there are, by name."""
    local = location.local_path
    try:
        if local is None:
            return objects_at(location, read_only=True).read(names)
        found = {name: _data(local / name) for name in names}
    except Exception as error:  # noqa: BLE001 - as the store puts it
        raise storage_error(error, location, "cannot be read") from None
    return {name: data for name, data in found.items() if data is not None}


def _data(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


_DOCUMENTS = Ahead(partial(_read, names=NAMES))
