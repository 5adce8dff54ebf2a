"""The state of what an array holds, from a listing of its store: for the fingerprints of plans that read it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from asyncexec.storage.chunks.chunk_files import PARTIAL
from asyncexec.storage.places.errors import storage_error
from asyncexec.storage.places.metadata import NAMES
from asyncexec.storage.places.objects import objects_at

if TYPE_CHECKING:
    from asyncexec.storage.places.locations import Location


def contents(location: Location) -> str:
    """Return a hash of what is at ``location`` that changes when the array there is written to, or made anew.

    Of files it takes in names, sizes and times: when they were written, which can be set back, and when anything was
    changed last, which cannot. Of objects in buckets it takes in what their listing says. It is ``""`` for other
    stores, whose listings say nothing of that.

    Raises
    ------
    StorageError
        If the place cannot be listed.
    """
    path = location.local_path
    try:
        found = objects_at(location, read_only=True).versions() if path is None else _files(path)
        hashed = blake2b(digest_size=16)
        # Sorted, as listings come in any order.
        lines = sorted(found)
    except Exception as error:  # noqa: BLE001 - as the store puts it
        raise storage_error(error, location, "cannot be listed") from None
    for line in lines:
        hashed.update(f"{line}\n".encode(errors="surrogateescape"))
    return hashed.hexdigest() if lines else ""


def _files(path: Path) -> Iterator[str]:
    """Yield a line for each file below ``path``; unfinished ones of writers that were killed do not count."""
    left = [("", str(path))]
    while left:
        above, folder = left.pop()
        try:
            entries = list(os.scandir(folder))
        except FileNotFoundError:
            continue
        for entry in entries:
            if entry.name.startswith(PARTIAL):
                continue
            name = f"{above}{entry.name}"
            if entry.is_dir():
                left.append((f"{name}/", entry.path))
                continue
            status = entry.stat()
            # Metadata are replaced as a whole, chunks may be on file systems that number their files anew.
            number = status.st_ino if name in NAMES else ""
            times = f"{status.st_mtime_ns} {status.st_ctime_ns}"
            yield f"{name} {status.st_size} {times} {number}"
