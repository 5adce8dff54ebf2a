"""One array that a run makes and that stays: where it is written, and whose it is."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING

from asyncexec.storage.chunks.chunk_files import partial_folder
from asyncexec.storage.places.removal import remove_partial
from asyncexec.storage.workspace.presence import partial_files

if TYPE_CHECKING:
    from asyncexec.storage.chunks.arrays import StoredArray
    from asyncexec.storage.places.groups import Surroundings
    from asyncexec.storage.places.locations import Location
    from asyncexec.storage.places.stamps import Stamp


class Replacing(Enum):
    """The way in which a target takes the place of an array that is there."""

    NOTHING = "nothing is there, or an array of the same plan"
    NEXT_TO = "it is made next to that array, and the two are exchanged at the end"
    OTHER_KEYS = "its chunks are among those of that array, whose metadata are exchanged at the end"
    AT_ONCE = "that array is removed when the run begins"


@dataclass(slots=True)
class WrittenDocument:
    """The metadata of a target in an object store as this run wrote them last.

    Attributes
    ----------
    data : bytes
        Empty before it wrote any.
    version : str
        The version that they have then; empty where it is not known.
    complete : bool
        Whether they say that the target is complete, or would if the write succeeded.
    """

    data: bytes = b""
    version: str = ""
    complete: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An array that a run makes, or that an earlier run of the same plan has made.

    Attributes
    ----------
    planned : StoredArray
        As the plan has it.
    ref : StoredArray
        As this run writes it: at its place, or next to the array that it replaces at the end.
    stamp : Stamp
        The stamp that it has, or gets.
    found : mapping of str to bytes
        The metadata that were at its place before.
    standing : mapping of str to bytes
        Those of the array that is gone on with, where it is ``kept``.
    kept : bool
        Whether it is there already, from an earlier run of the plan.
    damaged : bool
        Whether there is an array whose metadata cannot be read, so that they do not say whose it is.
    replacing : Replacing
        The way in which it takes the place of what was ``found``.
    bare : bool
        Whether its place is in an object store that had no object at all there.
    around : Surroundings
        The groups that it is in.
    written : WrittenDocument
    """

    planned: StoredArray
    ref: StoredArray
    stamp: Stamp
    found: Mapping[str, bytes]
    standing: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    kept: bool = False
    damaged: bool = False
    replacing: Replacing = Replacing.NOTHING
    bare: bool = False
    around: Surroundings
    written: WrittenDocument = field(default_factory=WrittenDocument, compare=False)

    @property
    def place(self) -> Location:
        """The place that it is at in the end."""
        return self.planned.location

    @property
    def complete(self) -> Stamp:
        """The stamp that it has when nothing is missing."""
        return replace(self.stamp, unfinished=False)

    @property
    def exchanges_document(self) -> bool:
        """True where one conditional write of its metadata makes it complete, at its place."""
        return self.place.local_path is None and self.replacing in (
            Replacing.NOTHING,
            Replacing.AT_ONCE,
        )


def adopt(ref: StoredArray) -> None:
    """Make ``ref``, of an earlier run, this run's: late attempts of the earlier one find nowhere to write."""
    root = ref.location.local_path
    if root is None:
        return
    # The folder that writers of this run need: without theirs, those of an earlier one fail.
    (root / partial_folder(ref)).mkdir(exist_ok=True)
    remove_partial(root, but=partial_folder(ref))


def sweep_partial(ref: StoredArray) -> None:
    """Remove the unfinished chunks of this run's killed writers."""
    root = ref.location.local_path
    if root is None:
        return
    shutil.rmtree(root / partial_folder(ref), ignore_errors=True)
    # Zarr writes unfinished chunks next to the others, under names of its own.
    if ref.encoding is None:
        for path in partial_files(str(root)):
            with suppress(OSError):
                path.unlink(missing_ok=True)
