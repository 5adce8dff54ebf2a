"""The parts that a run writes of arrays which were there before: regions, and what is appended.

What is appended lies beyond the array's end, where no reader looks, until everything is written: then one write of the
metadata makes the array longer. So a run that fails leaves such an array as it was. The elements of a region are
written over where they are; what a run that fails has written of them stays.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice, product
from typing import TYPE_CHECKING, Any

from asyncexec.errors import AsyncexecError, StorageError, TargetExistsError
from asyncexec.storage.places.claims import claim, release
from asyncexec.storage.places.consolidated import announce, is_consolidated, node_files
from asyncexec.storage.places.errors import replaced
from asyncexec.storage.places.exclusive import replace_file
from asyncexec.storage.places.groups import surroundings
from asyncexec.storage.places.identity import identity
from asyncexec.storage.places.metadata import array_document, documents
from asyncexec.storage.places.stamps import stamp_of
from asyncexec.storage.places.unchanged import check_unchanged
from asyncexec.storage.workspace.group_entries import path_in
from asyncexec.storage.workspace.holding import hold_target
from asyncexec.storage.workspace.leases import Lease
from asyncexec.storage.workspace.staging import with_errors
from asyncexec.storage.workspace.target import adopt, sweep_partial

if TYPE_CHECKING:
    from asyncexec.plan.box import Index
    from asyncexec.storage.chunks.arrays import PartOfTarget, StoredArray
    from asyncexec.storage.places.locations import Location
    from asyncexec.storage.places.objects import Objects
    from asyncexec.storage.places.stamps import Stamp
    from asyncexec.storage.workspace.leases import Hold

_log = logging.getLogger(__name__)

_AT_ONCE = 1_000
"""How many objects are removed by one request."""


@dataclass(slots=True)
class _Part:
    """A part, and what the run has done about its array."""

    ref: StoredArray
    place: PartOfTarget
    began: bool = False
    """Whether tasks may have written to it."""
    longer: bool = False
    """Whether its array has been made longer."""


class RunParts:
    """The parts of arrays that one run writes; ``stamp`` is the run's."""

    def __init__(self, stamp: Stamp) -> None:
        self._stamp = stamp
        self.notes: list[str] = []
        """Sentences for users on what cannot be undone."""
        self._parts: list[_Part] = []
        self._claimed: list[Location] = []
        self._holds: list[tuple[Location, Hold]] = []

    @property
    def refs(self) -> list[StoredArray]:
        """The parts, as the run writes them."""
        return [part.ref for part in self._parts]

    def examine(self, refs: Sequence[StoredArray]) -> None:
        """Claim the arrays that ``refs`` are parts of, and check that each is as it was opened.

        Raises
        ------
        TargetExistsError
            If another run of this process writes there.
        ArrayNotFoundError, ArrayReplacedError
            If it is gone, or another one: also where something was appended to it since.
        """
        for ref in refs:
            assert ref.part is not None  # noqa: S101 - the caller takes these alone
            # Of one array there may be several parts.
            if identity(ref.location) not in map(identity, self._claimed):
                claim(ref.location, self._stamp)
                self._claimed.append(ref.location)
                check_unchanged(ref.part.before)
            self._parts.append(_Part(ref, ref.part))

    def settle(self) -> None:
        """Hold the arrays against other drivers.

        Raises
        ------
        TargetExistsError
            If another driver holds one, or has left it unfinished.
        """
        # In one order for all drivers, so that of two that want the same arrays one gets all.
        each = {identity(part.ref.location): part for part in self._parts}
        for _, part in sorted(each.items()):
            location = part.ref.location
            hold_target(location, self._stamp.run, self._holds)
            found = documents(location)
            # Another run may have ended there before it was held.
            check_unchanged(part.place.before, found)
            stamp = stamp_of(found)
            if stamp is not None and stamp.unfinished:
                raise TargetExistsError(
                    f"{location} is not complete: a run is writing it, or was ended before it had. Complete it before "
                    f"a part of it is written"
                )

    def bound(self, generation: str) -> dict[StoredArray, StoredArray]:
        """Return the parts as the run writes them, by those of the plan.

        Late attempts of other runs find nowhere to write to on a disk, and elsewhere that they hold the place no more.
        """
        found: dict[StoredArray, StoredArray] = {}
        for part in self._parts:
            planned = found[part.ref] = part.ref
            # From here on tasks may write, and what they wrote beyond the end is removed if the run fails.
            part.began = True
            elsewhere = part.ref.location.local_path is None
            array = replace(part.place.array, generation=generation, in_place=elsewhere)
            part.place = replace(part.place, array=array)
            part.ref = replace(part.ref, part=part.place)
            adopt(array)
            found[planned] = part.ref
        return found

    def publish(self) -> None:
        """Let the arrays that something was appended to be longer; if one cannot be, none is.

        Raises
        ------
        TargetReplacedError
            If one is another array by now.
        StorageError
            If its metadata cannot be written.
        """
        for place, hold in self._holds:
            if isinstance(hold, Lease) and hold.lost:
                raise replaced(place)
        try:
            for part in self._parts:
                if part.place.appends and not part.longer:
                    _exchange(part.ref.location, part.place.before, part.place.array)
                    part.longer = True
                    _announce(part.ref.location)
        except BaseException:
            self._shorten()
            raise

    def finish(self) -> None:
        """Remove what only the run needed."""
        self._sweep()

    def keep(self) -> None:
        """Leave what was written to a run that is resumed; the arrays are no longer than they were."""
        self._shorten()
        self._sweep()

    def discard(self) -> None:
        """Remove what was appended; say which regions are not as they were.

        Raises
        ------
        StorageError
            If something cannot be removed.
        """
        self._shorten()
        self._sweep()
        for part in self._parts:
            if not part.began:
                continue
            if part.place.appends:
                _remove_beyond(part.place)
            else:
                note = overwritten_note(part.ref.location, part.place)
                self.notes.append(note)
                _log.warning("%s", note)

    def release(self) -> None:
        """Let go of the arrays."""
        while self._holds:
            self._holds.pop()[1].close()
        while self._claimed:
            release(self._claimed.pop(), self._stamp)

    def _shorten(self) -> None:
        for part in self._parts:
            if not part.longer:
                continue
            part.longer = False
            try:
                _exchange(part.ref.location, part.place.array, part.place.before)
                _announce(part.ref.location)
            except AsyncexecError as error:
                _log.warning("%s cannot be made as it was: %s", part.ref.location, error)

    def _sweep(self) -> None:
        for part in self._parts:
            if part.place.array.generation:
                sweep_partial(part.place.array)


def overwritten_note(location: Location, part: PartOfTarget) -> str:
    """Return that a region was written over by a run that has failed."""
    return (
        f"the run had begun to write {part.region} of {location}, and has failed: what it had written there stays, as "
        f"the elements before are not kept. Run it again to write all of the region"
    )


def _exchange(location: Location, before: StoredArray, after: StoredArray) -> None:
    """Write the metadata of an array that has the shape of ``before`` with that of ``after``.

    Raises
    ------
    TargetReplacedError
        If it is another array, or has another shape.
    StorageError
        If they cannot be written.
    """

    def exchange(objects: Objects) -> None:
        name = "zarr.json" if after.zarr_format == 3 else ".zarray"
        found = objects.fetch(name)
        if found is None or array_document({name: found.data}) != before.metadata:
            raise replaced(location)
        document = json.loads(found.data) | _extent(after)
        if not objects.replace(name, json.dumps(document, indent=2).encode(), found.version):
            raise replaced(location)

    if location.local_path is None:
        with_errors(location, exchange)
        return
    name = "zarr.json" if after.zarr_format == 3 else ".zarray"
    files = documents(location)
    if array_document(files) != before.metadata:
        raise replaced(location)
    document = json.loads(files[name]) | _extent(after)
    try:
        replace_file(location, name, json.dumps(document, indent=2).encode())
    except OSError as error:
        raise StorageError(f"{location} cannot be made longer: {error}") from error


def _extent(array: StoredArray) -> dict[str, Any]:
    """Return what metadata say of the length of an array: its shape, and its chunks where these are listed."""
    shape: dict[str, Any] = {"shape": list(array.shape)}
    return shape | (
        {"chunk_grid": json.loads(array.metadata)["chunk_grid"]} if array.is_irregular else {}
    )


def _announce(location: Location) -> None:
    """Enter the metadata of the array in the consolidated metadata of the groups above."""
    for group in surroundings(location).groups:
        if is_consolidated(group):
            announce(group, {path_in(group, location): node_files(location)})


def _remove_beyond(part: PartOfTarget) -> None:
    """Remove the chunks (or shards) that lie beyond the end of the array as it was before."""
    root = part.before.location.local_path
    keys = (part.before.keys.key(chunk) for chunk in _chunks_beyond(part))
    if root is not None:
        for key in keys:
            with suppress(OSError):
                (root / key).unlink()
                (root / key).parent.rmdir()
        return

    def remove(objects: Objects) -> None:
        while some := list(islice(keys, _AT_ONCE)):
            objects.remove_all(some)

    with_errors(part.before.location, remove)


def _chunks_beyond(part: PartOfTarget) -> Iterator[Index]:
    """Iterate over the chunks (or shards) of what is appended that the array had not before."""
    old, new = part.before.blocks, part.array.blocks
    ranges = [
        along if before == after else range(max(along.start, before), along.stop)
        for along, before, after in zip(part.cover, old, new, strict=True)
    ]
    return product(*ranges) if old != new else iter(())
