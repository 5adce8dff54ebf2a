"""The removal of what a run has made for a target, and of nothing else."""

from __future__ import annotations

import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

from asyncexec.storage.chunks.chunk_files import partial_folder
from asyncexec.storage.places.errors import storage_error
from asyncexec.storage.places.metadata import documents
from asyncexec.storage.places.removal import discard, remove_own
from asyncexec.storage.places.stamps import stamp_of
from asyncexec.storage.workspace.staging import remove_staged
from asyncexec.storage.workspace.target import Replacing

if TYPE_CHECKING:
    from asyncexec.storage.workspace.target import Target


def remove_made(target: Target, run: str) -> None:
    """Remove what ``run`` has made for ``target``, as far as it is its own; what it was to replace stays.

    Raises
    ------
    StorageError
        If it cannot be removed.
    """
    if target.replacing is Replacing.OTHER_KEYS:
        remove_staged(target)
        return
    location = target.ref.location
    path, place = location.local_path, target.place.local_path
    if target.replacing is Replacing.NEXT_TO and path is not None and place is not None:
        stamp = stamp_of(documents(location))
        # Without a stamp it was never finished, and nobody else has the name.
        if stamp is None or stamp.run == run:
            try:
                discard(path, run, of=place)
            except OSError as error:
                raise storage_error(error, location, "cannot be removed") from None
        return
    if remove_own(target.ref, run) or path is None:
        return
    # What there is of an array whose metadata had not been written yet.
    with suppress(OSError):
        shutil.rmtree(path / partial_folder(target.ref), ignore_errors=True)
        path.rmdir()
