"""Files that are created by one run only, whoever else tries at the same time."""

from __future__ import annotations

import contextlib
import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from asyncexec.storage.chunks.chunk_files import PARTIAL
from asyncexec.storage.places.objects import objects_at

if TYPE_CHECKING:
    from asyncexec.storage.places.locations import Location


def create_file(location: Location, name: str, data: bytes, *, partial: str = "") -> bool:
    """Create the file ``name`` at ``location``; return whether there was none, so that it is this caller's.

    Nobody ever meets half of it: on a disk it is written under another name first. The folder ``partial`` of
    ``location``, if one is given, is made before that.
    """
    root = location.local_path
    if root is None:
        return bool(objects_at(location).create(name, data))
    (root / partial).mkdir(parents=True, exist_ok=True)
    # In the same folder, as a name can only be moved within one file system.
    temporary = root / f"{PARTIAL}-{uuid.uuid4().hex}"
    try:
        temporary.write_bytes(data)
        return _named(temporary, root / name, data)
    finally:
        temporary.unlink(missing_ok=True)


def replace_file(location: Location, name: str, data: bytes) -> None:
    """Write the file ``name`` at ``location`` at once, in place of another or not."""
    root = location.local_path
    if root is None:
        objects_at(location).put(name, data)
        return
    temporary = root / f"{PARTIAL}-{uuid.uuid4().hex}"
    try:
        temporary.write_bytes(data)
        temporary.replace(root / name)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _named(temporary: Path, path: Path, data: bytes) -> bool:
    try:
        # A rename would replace what is there; a link is refused.
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError:
        # A file system without links.
        return _opened_new(path, data)
    return True


def _opened_new(path: Path, data: bytes) -> bool:
    try:
        with path.open("xb") as file:
            file.write(data)
    except FileExistsError:
        return False
    return True
