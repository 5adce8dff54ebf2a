"""The arrays that a run makes and that stay: whose each is, from the moment it is made until the run has ended."""

from __future__ import annotations

import logging
import shutil
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from asyncexec.errors import StorageError
from asyncexec.storage.chunks.chunk_files import partial_folder
from asyncexec.storage.places.asides import recover
from asyncexec.storage.places.claims import claim, release
from asyncexec.storage.places.concurrently import for_each
from asyncexec.storage.places.consolidated import (
    announce,
    is_consolidated,
    node_files,
    withdraw,
)
from asyncexec.storage.places.creation import check_free
from asyncexec.storage.places.errors import replaced
from asyncexec.storage.places.exclusive import replace_file
from asyncexec.storage.places.groups import Surroundings, remove_group, surroundings
from asyncexec.storage.places.metadata import documents, exists
from asyncexec.storage.places.removal import remove_own, remove_partial
from asyncexec.storage.places.restoration import is_unreadable
from asyncexec.storage.places.stamps import Stamp, new_run, stamp_of, stamped
from asyncexec.storage.places.urls import split_query
from asyncexec.storage.workspace.presence import partial_files

if TYPE_CHECKING:
    from asyncexec.storage.chunks.arrays import StoredArray
    from asyncexec.storage.places.locations import Location

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An array that a run makes, or that an earlier run of the same plan has made.

    Attributes
    ----------
    ref : StoredArray
        As this run writes it.
    stamp : Stamp
        The stamp that it has, or gets.
    found : mapping of str to bytes
        The metadata that were at its place before.
    kept : bool
        Whether it is there already, from an earlier run of the plan.
    damaged : bool
        Whether there is an array whose metadata cannot be read, so that they do not say whose it is.
    around : Surroundings
        The groups that it is in.
    """

    ref: StoredArray
    stamp: Stamp
    found: Mapping[str, bytes]
    kept: bool
    damaged: bool = False
    around: Surroundings


class RunTargets:
    """The targets of one run.

    Parameters
    ----------
    plan : str
        The plan's fingerprint, where the run can be resumed; else empty.
    overwrite : bool
        Whether arrays of others may be replaced.
    stop : callable
        Raises once the run has been cancelled.
    """

    def __init__(self, *, plan: str, overwrite: bool, stop: Callable[[], None]) -> None:
        self.stamp = Stamp(run=new_run(), plan=plan)
        self.overwrite = overwrite
        self.stop = stop
        self.all: list[Target] = []
        """Those that have been made, or kept, so far."""
        self.groups: list[Location] = []
        """The groups that have been made around them."""
        self._claimed: list[Location] = []
        self._above: dict[str, Mapping[str, bytes]] = {}
        # Of a run that has gone without an end, places are not claimed for good.
        weakref.finalize(self, _release, self._claimed, self.stamp).atexit = False

    def examine(self, refs: Sequence[StoredArray]) -> list[Target]:
        """Claim the places of ``refs`` for this run, and return what is to be done there; nothing is made yet.

        Raises
        ------
        TargetExistsError
            If there is an array of others at one and ``overwrite`` is off, or anything else, or a run that is writing.
        StorageError
            If a place cannot be read.
        """
        for ref in refs:
            claim(ref.location, self.stamp)
            self._claimed.append(ref.location)
        return for_each(self._examined, refs, stop=self.stop)

    def settle(self, examined: Sequence[Target], *, resumed: bool) -> list[Target]:
        """Return what was examined, now that it is known whether the run is ``resumed``.

        Then targets with damaged metadata are those of the run that is resumed, which made them when their places were
        free, and are kept.

        Raises
        ------
        TargetExistsError
            If there is such an array, the run is not resumed, and ``overwrite`` is off.
        """
        return [self._settled(t, resumed=resumed) if t.damaged else t for t in examined]

    def _settled(self, target: Target, *, resumed: bool) -> Target:
        if not resumed:
            check_free(target.ref.location, overwrite=self.overwrite, found=target.found)
        return replace(target, kept=resumed)

    def check(self) -> None:
        """Check that every target is still this run's.

        Raises
        ------
        TargetReplacedError
            If another run has replaced one.
        """
        for_each(_check_own, self.all, stop=_go_on)

    def finish(self) -> None:
        """Let the arrays be everybody's, as they are complete: of a run that cannot be resumed, the stamps go."""
        if not self.stamp.plan:
            for_each(self._unstamp, self.all, stop=_go_on)
        self._sweep()
        for target in self.all:
            root = target.ref.location.local_path
            if root is not None:
                # They are whole, and nobody else's: what is unfinished there is of runs that were killed.
                remove_partial(root)

    def discard(self) -> None:
        """Remove what this run has made, as far as it is still its own.

        Raises
        ------
        StorageError
            If something cannot be removed; everything else is removed nevertheless.
        """
        errors = for_each(self._removed, self.all, stop=_go_on)
        self._sweep()
        withdraw_all(self.all, self.groups)
        for error in errors:
            if error is not None:
                raise error

    def keep(self) -> None:
        """Leave everything to a run that is resumed."""
        self._sweep()

    def release(self) -> None:
        """Let go of the places."""
        _release(self._claimed, self.stamp)

    def _examined(self, ref: StoredArray) -> Target:
        recover(ref.location)
        found = documents(ref.location)
        stamp = stamp_of(found)
        damaged = bool(self.stamp.plan) and is_unreadable(ref.location, found)
        ours = stamp is not None and bool(stamp.plan) and stamp.plan == self.stamp.plan
        around = surroundings(ref.location, self._documents_above)
        there = damaged or check_free(ref.location, overwrite=self.overwrite or ours, found=found)
        kept = there and ours
        return Target(
            ref=replace(ref.in_format(around.zarr_format), generation=self.stamp.run),
            stamp=stamp if kept and stamp is not None else self.stamp,
            found=found,
            kept=kept,
            damaged=damaged,
            around=around,
        )

    def _documents_above(self, location: Location) -> Mapping[str, bytes]:
        """Return the metadata of what is above targets, read once for all of them."""
        name = str(location)
        if name not in self._above:
            self._above[name] = documents(location)
        return self._above[name]

    def _unstamp(self, target: Target) -> None:
        found = documents(target.ref.location)
        if stamp_of(found) != target.stamp:
            return
        for name, data in stamped(found, None).items():
            if data != found[name]:
                try:
                    replace_file(target.ref.location, name, data)
                except (OSError, StorageError) as error:
                    _log.warning("%s has the run's stamp still: %s", target.ref.location, error)

    def _removed(self, target: Target) -> StorageError | None:
        try:
            remove_own(target.ref.location, self.stamp.run)
        except StorageError as error:
            return error
        return None

    def _sweep(self) -> None:
        for target in self.all:
            sweep_partial(target.ref)


def announce_all(targets: Iterable[Target], groups: Iterable[Location]) -> None:
    """Enter ``targets``, and the ``groups`` made around them, in the consolidated metadata of the groups above.

    Raises
    ------
    StorageError
        If these cannot be read or written.
    """
    for group, places in _by_group(targets, groups).items():
        if is_consolidated(group):
            announce(group, {path: node_files(place) for path, place in places.items()})


def withdraw_all(targets: Sequence[Target], groups: Sequence[Location]) -> None:
    """Take ``targets`` that are gone, and ``groups`` that are empty then, out of the groups above."""
    formats = {target.around.zarr_format for target in targets}
    for group in sorted(groups, key=lambda place: -len(place.url)):
        for zarr_format in formats:
            remove_group(group, zarr_format)
    for group, places in _by_group(targets, groups).items():
        gone = [path for path, place in places.items() if not exists(place)]
        if gone and exists(group) and is_consolidated(group):
            withdraw(group, gone)


def _by_group(
    targets: Iterable[Target], groups: Iterable[Location]
) -> dict[Location, dict[str, Location]]:
    """Return what is in each group around ``targets``, by its path there."""
    made = list(groups)
    found: dict[Location, dict[str, Location]] = {}
    for target in targets:
        for group in target.around.groups:
            for place in [*made, target.ref.location]:
                path = _path_in(group, place)
                if path:
                    found.setdefault(group, {})[path] = place
    return found


def _path_in(group: Location, place: Location) -> str:
    """Return the path of ``place`` in ``group``; empty where it is elsewhere."""
    above, below = (split_query(str(p.local_path or p.url))[0].rstrip("/") for p in (group, place))
    prefix = f"{above}/" if above else ""
    return below.removeprefix(prefix) if below.startswith(prefix) and below != above else ""


def adopt(ref: StoredArray) -> None:
    """Make ``ref``, of an earlier run, this run's: late attempts of the earlier one find nowhere to write."""
    root = ref.location.local_path
    if root is None:
        return
    (root / partial_folder(ref)).mkdir(exist_ok=True)
    remove_partial(root, but=partial_folder(ref))


def _release(claimed: list[Location], stamp: Stamp) -> None:
    while claimed:
        release(claimed.pop(), stamp)


def _check_own(target: Target) -> None:
    if stamp_of(documents(target.ref.location)) != target.stamp:
        raise replaced(target.ref.location)


def sweep_partial(ref: StoredArray) -> None:
    """Remove the unfinished chunks of this run's killed writers."""
    root = ref.location.local_path
    if root is None:
        return
    shutil.rmtree(root / partial_folder(ref), ignore_errors=True)
    if ref.encoding is None:
        for path in partial_files(str(root)):
            with suppress(OSError):
                path.unlink(missing_ok=True)


def _go_on() -> None:
    """Return: what ends a run is not stopped."""
