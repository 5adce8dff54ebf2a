"""The end of writing a target: it is said to be complete, and takes the place of the array that it replaces.

Until then that array is as it was; and it still is there afterwards, under the other name, until the run has ended, so
that everything can be taken back.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from asyncexec.storage.chunks.chunk_files import PARTIAL
from asyncexec.storage.places.asides import put_in_place
from asyncexec.storage.places.errors import replaced, storage_error
from asyncexec.storage.places.exclusive import replace_file
from asyncexec.storage.places.metadata import NAMES, documents
from asyncexec.storage.places.orphans import CHUNK
from asyncexec.storage.places.removal import discard
from asyncexec.storage.places.stamps import stamp_of, stamped
from asyncexec.storage.workspace.documents import publish_document, take_back_document
from asyncexec.storage.workspace.staging import (
    clear_staged,
    publish_staged,
    read_staged,
    take_back_staged,
)
from asyncexec.storage.workspace.target import Replacing

if TYPE_CHECKING:
    from pathlib import Path

    from asyncexec.storage.places.locations import Location
    from asyncexec.storage.places.stamps import Stamp
    from asyncexec.storage.workspace.target import Target

_log = logging.getLogger(__name__)


def check_own(target: Target) -> None:
    """Check that ``target`` is still the run's, and what it replaces as it was found.

    Raises
    ------
    TargetReplacedError
        If another run has replaced it.
    """
    now = documents(target.place)
    replaces = target.replacing in (Replacing.NEXT_TO, Replacing.OTHER_KEYS)
    written = (
        documents(target.ref.location)
        if target.replacing is Replacing.NEXT_TO
        else read_staged(target.place)
        if target.replacing is Replacing.OTHER_KEYS
        else now
    )
    if stamp_of(written) not in (target.stamp, target.complete):
        raise replaced(target.place)
    # What was to be replaced must be as it was: another run may have stored there since.
    if replaces and now != target.found:
        raise replaced(target.place)


def publish(target: Target) -> None:
    """Let ``target`` be complete, and at its place.

    Raises
    ------
    StorageError
        If it cannot be written, or is not the run's any more.
    """
    if target.replacing is Replacing.OTHER_KEYS:
        publish_staged(target)
        return
    if target.exchanges_document:
        publish_document(target)
        return
    try:
        _restamp(target.ref.location, target.stamp, target.complete)
    except OSError as error:
        raise storage_error(error, target.ref.location, "cannot be completed") from None
    if target.replacing is Replacing.NEXT_TO:
        put_in_place(target.place, target.ref.location, target.stamp.run)


def take_back(target: Target) -> None:
    """Undo :func:`publish`, or what there is of it: what was replaced is at its place again.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    if target.replacing is Replacing.OTHER_KEYS:
        take_back_staged(target)
        return
    if target.exchanges_document:
        take_back_document(target)
        return
    if (
        target.replacing is Replacing.NEXT_TO
        and stamp_of(documents(target.place)) == target.complete
    ):
        put_in_place(target.place, target.ref.location, target.stamp.run)
    with suppress(FileNotFoundError):
        _restamp(target.ref.location, target.complete, target.stamp)


def clear_replaced(target: Target) -> None:
    """Remove the array that ``target`` has replaced; what of others is in its folder goes to the new one.

    Raises
    ------
    OSError, StorageError
        If it cannot be removed.
    """
    if target.replacing is Replacing.OTHER_KEYS:
        clear_staged(target)
        return
    path, left = target.place.local_path, target.ref.location.local_path
    if target.replacing is not Replacing.NEXT_TO or path is None or left is None:
        return
    # Behind a link is a folder of somebody else's, out of which nothing is moved.
    if not left.is_symlink():
        _carry_over(left, path)
    discard(left, target.stamp.run, of=path)


def unstamp(target: Target) -> None:
    """Remove the stamp of a target that is everybody's now, unless it went as the target was published."""
    if target.exchanges_document and target.written.complete:
        return
    try:
        _restamp(target.place, target.complete, None)
    except OSError as error:
        _log.warning("%s has the run's stamp still: %s", target.place, error)


def _restamp(location: Location, before: Stamp, after: Stamp | None) -> None:
    if before == after:
        return
    found = documents(location)
    # Done already, by a request whose answer was lost.
    if stamp_of(found) == after:
        return
    if stamp_of(found) != before:
        raise replaced(location)
    for name, data in stamped(found, after).items():
        if data != found[name]:
            replace_file(location, name, data)


def _carry_over(old: Path, new: Path, *, within: bool = False) -> None:
    """Move what is no array's from one folder to another, also what is ``within`` folders of chunks."""
    for entry in old.iterdir():
        name = entry.name
        if not within and (name in (*NAMES, ".zattrs") or name.startswith(PARTIAL)):
            continue
        if CHUNK.fullmatch(name):
            if entry.is_dir():
                _carry_over(entry, new / name, within=True)
        elif not (new / name).exists():
            new.mkdir(parents=True, exist_ok=True)
            entry.rename(new / name)
