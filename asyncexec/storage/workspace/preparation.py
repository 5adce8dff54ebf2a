"""The creation of a run's arrays: all places are checked before anything is created, and creation can be undone."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from asyncexec.errors import ArrayNotFoundError, OptionError, TargetExistsError
from asyncexec.plan.locality import Locality
from asyncexec.storage.chunks.arrays import StoredArray
from asyncexec.storage.places.concurrently import for_each
from asyncexec.storage.places.creation import described, make_array, renew_array
from asyncexec.storage.places.groups import make_group, places_above
from asyncexec.storage.places.identity import Places, identity
from asyncexec.storage.places.locations import Location
from asyncexec.storage.places.metadata import documents, is_array
from asyncexec.storage.places.probing import probed
from asyncexec.storage.places.removal import check_takes_objects, remove_array_objects
from asyncexec.storage.places.restoration import restore
from asyncexec.storage.places.sharing import check_shared
from asyncexec.storage.places.stamps import stamped
from asyncexec.storage.places.suitability import check_target, check_travels
from asyncexec.storage.places.unchanged import check_unchanged
from asyncexec.storage.workspace.group_entries import withdraw_all
from asyncexec.storage.workspace.packing import is_packed
from asyncexec.storage.workspace.staging import read_staged, stage
from asyncexec.storage.workspace.target import Replacing, Target, adopt
from asyncexec.storage.workspace.undoing import remove_made

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from asyncexec.plan.stage import Stage
    from asyncexec.storage.chunks.block_io import BlockIO


def check_places(
    stages: Sequence[Stage],
    blocks: Mapping[str, BlockIO],
    *,
    locality: Locality,
    stop: Callable[[], None] = lambda: None,
) -> list[StoredArray]:
    """Return the targets: the arrays that ``stages`` write and that stay, after checking all places they read or write.

    Raises
    ------
    ArrayNotFoundError
        If an array to be read is gone.
    OptionError
        If an array is in this process's memory and workers are not, or what is read would be replaced.
    StorageError
        If the store of a target was opened read-only, or cannot do what is needed.
    """
    written = _targets(blocks)
    shared = [ref.location for ref in written if not is_packed(ref.location)]
    for location in shared:
        check_target(location)
    if locality is not Locality.SAME_PROCESS:
        for ref in sources_of(blocks):
            check_travels(ref.location)
        check_shared(shared)
    # Of one array there may be several parts.
    once = [*{(identity(ref.location), ref.part is None): ref for ref in written}.values()]
    made = [ref for ref in written if ref.part is None]
    once = [*made, *(ref for ref in once if ref.part is not None)]
    targets = _apart([ref.location for ref in once])
    read = [
        (ref, stage.name)
        for stage in stages
        if stage.name in blocks
        for ref in _read_from_elsewhere(stage, blocks, targets)
    ]
    _check_probed(once, read)
    for_each(
        _check_there,
        list({identity(ref.location): (ref, by) for ref, by in read}.values()),
        stop=stop,
    )
    return written


class Preparation:
    """The arrays that have been created for a run at once; :meth:`undo` removes them.

    Parameters
    ----------
    stop : callable
        Raises once the run has been cancelled.
    """

    def __init__(self, stop: Callable[[], None] = lambda: None) -> None:
        self._stop = stop
        self._made: list[Target] = []
        self._kept: list[Target] = []
        self.groups: list[Location] = []
        """The groups that have been made around targets."""

    def make_shared_targets(self, targets: Sequence[Target]) -> None:
        """Create ``targets`` as :meth:`make_targets` does, for workers in other processes.

        Raises
        ------
        OptionError
            If the store of one is not shared with them.
        """
        # Before anything is made: a store that travels with all it holds would take the arrays along, and look
        # shared.
        sent = [(target.ref.location, check_travels(target.ref.location)) for target in targets]
        self.make_targets(targets)
        for location, travelled in sent:
            _check_shared(location, travelled)

    def make_targets(self, targets: Sequence[Target]) -> None:
        """Create ``targets``, or take over those that are kept.

        Raises
        ------
        TargetExistsError
            If another run has been quicker.
        StorageError
            If one cannot be created.
        """
        for_each(self._make_target, targets, stop=self._stop)

    def make_intermediates(self, refs: Sequence[StoredArray]) -> None:
        """Create ``refs`` in the run's own place, where an earlier run may have left them.

        Raises
        ------
        StorageError
            If one cannot be created.
        """
        for_each(_make_intermediate, refs, stop=self._stop)

    def commit(self) -> list[Target]:
        """Return the targets, as everything has been created."""
        return [*self._made, *self._kept]

    def undo(self) -> None:
        """Remove the new arrays, ignoring what cannot be removed; those that they were to replace are as they were."""
        for target in self._made:
            # Whatever one raises, the others are removed, and the error that led here is the one to be told.
            with suppress(Exception):
                remove_made(target, target.stamp.run)
        with suppress(Exception):
            withdraw_all(self._made, self.groups)
        self._made.clear()

    def _make_target(self, target: Target) -> None:
        if target.replacing is Replacing.OTHER_KEYS:
            self._stage_target(target)
            return
        # Names of axes are those that it has at its place.
        files = described(
            target.ref.at(target.place), grouped=target.around.is_grouped, found=target.found
        )
        if target.kept:
            restore(target.ref.location, target.standing, files, target.stamp)
            adopt(target.ref)
            self._kept.append(target)
            return
        self._make_groups(target)
        if target.replacing is Replacing.AT_ONCE:
            _take_away(target)
        # Before it is created, so that one that fails half-way is removed too.
        self._made.append(target)
        target.written.version = make_array(target.ref, files, stamp=target.stamp)
        target.written.data = next(iter(stamped(files, target.stamp).values()))

    def _stage_target(self, target: Target) -> None:
        check_takes_objects(target.place, target.stamp.run)
        self._make_groups(target)
        # Before it is created, so that one that fails half-way is removed too.
        (self._kept if target.kept else self._made).append(target)
        stage(target)

    def _make_groups(self, target: Target) -> None:
        for group in target.around.missing:
            if make_group(group, target.around.zarr_format):
                self.groups.append(group)


def _take_away(target: Target) -> None:
    location = target.place
    if documents(location) != target.found:
        raise TargetExistsError(
            f"{location} is being replaced by another run at the same time. Let one run at a time store there"
        )
    check_takes_objects(location, target.stamp.run)
    remove_array_objects(location)


def _check_shared(location: Location, travelled: Location) -> None:
    """Check that an array that has just been created at ``location`` is at ``travelled``, too.

    A store that is pickled with all it holds would take what workers write with it, and nobody would ever see that.

    Raises
    ------
    OptionError
        If it is not.
    """
    if location.store is not None and (
        documents(travelled) != documents(location)
        or read_staged(travelled) != read_staged(location)
    ):
        raise OptionError(
            f"{location} is not shared with workers of this executor: a {type(location.store).__name__} sent to "
            f"them is another store. Use executor='threads', or a directory or bucket"
        )


def _make_intermediate(ref: StoredArray) -> None:
    # Also where an earlier run has left them, as they may have been damaged since; chunks stay.
    renew_array(ref)
    adopt(ref)


def _targets(blocks: Mapping[str, BlockIO]) -> list[StoredArray]:
    written = [target.ref for io in blocks.values() for target in io.targets]
    return [ref for ref in written if not ref.location.run_scoped]


def written_places(blocks: Mapping[str, BlockIO]) -> list[Location]:
    """Return the places of the arrays that stay and are made, without those in zip files."""
    return [
        ref.location for ref in _targets(blocks) if not is_packed(ref.location) and ref.part is None
    ]


def looked_at(blocks: Mapping[str, BlockIO]) -> list[Location]:
    """Return the places whose metadata a run reads as it begins: those of its arrays, and groups around targets."""
    targets = written_places(blocks)
    around = [place for location in targets for place in places_above(location)]
    parts = [ref.location for ref in _targets(blocks) if ref.part is not None]
    return [*(ref.location for ref in sources_of(blocks)), *parts, *targets, *around]


def sources_of(blocks: Mapping[str, BlockIO]) -> list[StoredArray]:
    """Return the arrays that are read by ``blocks``, without those of the run's own."""
    read = [source.array for io in blocks.values() for source in io.sources]
    found = {
        identity(a.location): a
        for a in read
        if isinstance(a, StoredArray) and not a.location.run_scoped
    }
    return list(found.values())


def _read_from_elsewhere(
    stage: Stage, blocks: Mapping[str, BlockIO], written: Places
) -> list[StoredArray]:
    """Return the arrays that ``stage`` reads and no stage before it writes.

    Raises
    ------
    OptionError
        If one would be replaced by what is ``written``.
    """
    before = {
        identity(t.ref.location)
        for read in stage.reads
        if read.stage in blocks
        for t in blocks[read.stage].targets
    }
    found: list[StoredArray] = []
    for source in blocks[stage.name].sources:
        ref = source.array
        if (
            not isinstance(ref, StoredArray)
            or ref.location.run_scoped
            or identity(ref.location) in before
        ):
            continue
        target = written.find(ref.location)
        if target is not None:
            raise OptionError(
                f"{target.spelling} would be replaced while stage {stage.name!r} still reads {ref.location.spelling}: "
                f"store the result elsewhere"
            )
        found.append(ref)
    return found


def _check_probed(written: Sequence[StoredArray], read: Sequence[tuple[StoredArray, str]]) -> None:
    targets = [ref.location for ref in written]
    sources = [ref.location for ref, _ in read]
    found = probed(targets, [*targets, *sources])
    if found is not None:
        raise OptionError(
            f"{found[0].spelling} is the same place as {found[1].spelling}, which the plan writes or reads as well: "
            f"store the result elsewhere"
        )


def _check_there(read: tuple[StoredArray, str]) -> None:
    ref, stage = read
    found = documents(ref.location)
    if not is_array(found):
        raise ArrayNotFoundError(
            f"there is no Zarr array at {ref.location}, which stage {stage!r} reads: somebody removed it"
        )
    check_unchanged(ref, found)


def _apart(targets: Sequence[Location]) -> Places:
    """Return the places of a plan's targets.

    Raises
    ------
    OptionError
        If two are one place, or one is inside of the other.
    """
    taken = Places()
    for target in targets:
        other = taken.find(target)
        if other is not None:
            raise OptionError(
                f"{other.spelling} and {target.spelling} are to be written by one plan, and are one place, or one is "
                f"inside of the other: give each a place of its own"
            )
        taken.add(target)
    return taken
