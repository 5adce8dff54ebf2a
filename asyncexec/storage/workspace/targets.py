"""The arrays that a run makes and that stay: whose each is, from the moment it is made until the run has ended."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from asyncexec.errors import AsyncexecError, StorageError
from asyncexec.storage.places.asides import check_can_be_exchanged, next_to, recover, sweep
from asyncexec.storage.places.claims import claim, release
from asyncexec.storage.places.concurrently import at_once, for_each
from asyncexec.storage.places.creation import check_free
from asyncexec.storage.places.errors import replaced
from asyncexec.storage.places.groups import surroundings
from asyncexec.storage.places.identity import identity
from asyncexec.storage.places.metadata import documents, documents_ahead
from asyncexec.storage.places.orphans import names_ahead, names_at
from asyncexec.storage.places.removal import remove_partial
from asyncexec.storage.places.restoration import is_unreadable
from asyncexec.storage.places.stamps import Stamp, new_run, stamp_of
from asyncexec.storage.workspace.group_entries import announce_all, listed_in, withdraw_all
from asyncexec.storage.workspace.holding import hold_target
from asyncexec.storage.workspace.leases import Hold, Lease
from asyncexec.storage.workspace.publication import (
    check_own,
    clear_replaced,
    publish,
    take_back,
    unstamp,
)
from asyncexec.storage.workspace.staging import (
    clear_left,
    clear_orphans,
    keys_of,
    other_keys,
    read_staged,
    removal_notice,
)
from asyncexec.storage.workspace.target import Replacing, Target, sweep_partial
from asyncexec.storage.workspace.undoing import remove_made

if TYPE_CHECKING:
    from asyncexec.storage.chunks.arrays import StoredArray
    from asyncexec.storage.places.locations import Location

_log = logging.getLogger(__name__)


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
        self.stamp = Stamp(run=new_run(), plan=plan, unfinished=True)
        self.overwrite = overwrite
        self.stop = stop
        self.all: list[Target] = []
        """Those that have been made, or kept, so far."""
        self.groups: list[Location] = []
        """The groups that have been made around them."""
        self.notes: list[str] = []
        """Sentences for users on how they are made; logged as well, before it is done."""
        self.published = False
        """Whether they are complete, and at their places."""
        self._claimed: list[Location] = []
        self._holds: list[tuple[Location, Hold]] = []
        self._above: dict[str, Mapping[str, bytes]] = {}
        # Of a run that has gone without an end, places are not claimed for good.
        weakref.finalize(self, _release, self._claimed, self._holds, self.stamp).atexit = False

    @property
    def generation(self) -> str:
        """The name that the run's writes have, so that late ones of earlier runs are known."""
        return f"{self.stamp.plan[:16]}-{self.stamp.run}" if self.stamp.plan else self.stamp.run

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

    def settle(
        self,
        examined: Sequence[Target],
        *,
        resumed: bool,
        fits: Callable[[Target], bool] = lambda _: True,
    ) -> list[Target]:
        """Hold the places that were examined against other drivers, and return what is to be done there.

        Now it is known whether the run is ``resumed``. Then targets with damaged metadata are those of the run that is
        resumed, which made them when their places were free, and are kept. Of an earlier run of the plan an array is
        kept if it ``fits``.

        Raises
        ------
        TargetExistsError
            If another driver holds one, or there is such an array, the run is not resumed, and ``overwrite`` is off.
        """
        # One after another in one order, so that of runs with several targets in common one gets them all.
        for target in sorted(examined, key=lambda target: identity(target.place)):
            self.stop()
            self._hold(target.place)
        again = [target.place for target in examined if not self._surely_free(target)]
        with documents_ahead(again, least=1), names_ahead(again):
            settled = for_each(
                lambda t: self._settled(t, resumed=resumed, fits=fits), examined, stop=self.stop
            )
        # Before anything of any of them is removed.
        for target in settled:
            if target.replacing is Replacing.AT_ONCE:
                self._tell(removal_notice(target))
        return settled

    def publish(self) -> None:
        """Let all targets be complete, and at their places; if one cannot be, none is.

        Raises
        ------
        TargetReplacedError
            If another run has replaced one.
        StorageError
            If one cannot be written, or exchanged with the array that it replaces.
        """
        if self.published:
            return
        self._check_held()
        # What one conditional write makes complete is looked at by that.
        looked_at = [target for target in self.all if not target.exchanges_document]
        for_each(check_own, looked_at, stop=_go_on)
        try:
            self._publish_all()
        except BaseException:
            self._take_back()
            raise
        self.published = True

    def check(self) -> None:
        """Check that every target is still this run's.

        Raises
        ------
        TargetReplacedError
            If another run has replaced one.
        """
        if not self.published:
            for_each(check_own, self.all, stop=_go_on)
            self._check_held()

    def finish(self) -> None:
        """Let the arrays be everybody's, and remove those that they have replaced.

        Of a run that cannot be resumed, the stamps go.
        """
        if not self.stamp.plan:
            for_each(unstamp, self.all, stop=_go_on)
        for target in self.all:
            sweep_partial(target.ref.at(target.place))
            root = target.place.local_path
            if root is not None:
                # They are whole, and nobody else's: what is unfinished there is of runs that were killed.
                remove_partial(root)
        for_each(_cleared, self.all, stop=_go_on)

    def discard(self) -> None:
        """Remove what this run has made, as far as it is still its own; what it has replaced is there again.

        Raises
        ------
        StorageError
            If something cannot be removed; everything else is removed nevertheless.
        """
        if self.published:
            self._take_back()
        errors = for_each(self._removed, self.all, stop=_go_on)
        self._sweep()
        withdraw_all(self.all, self.groups)
        for error in errors:
            if error is not None:
                raise error

    def keep(self) -> None:
        """Leave everything to a run that is resumed."""
        if self.published:
            self._take_back()
        self._sweep()

    def release(self) -> None:
        """Let go of the places."""
        _release(self._claimed, self._holds, self.stamp)

    def is_new(self, ref: StoredArray) -> bool:
        """Return whether ``ref``, as the run writes it, is a target that it has made, so that nothing is in it yet."""
        return any(not t.kept and t.ref.location == ref.location for t in self.all)

    def place_of(self, ref: StoredArray) -> Location:
        """Return the place that ``ref``, as the run writes it, is at in the end."""
        return next((t.place for t in self.all if t.ref.location == ref.location), ref.location)

    def _examined(self, ref: StoredArray) -> Target:
        location = ref.location
        recover(location)
        found = documents(location)
        stamp = stamp_of(found)
        names = None if found or location.local_path is not None else names_at(location)
        damaged = bool(self.stamp.plan) and is_unreadable(location, found, names)
        ours = self._is_ours(stamp)
        around = surroundings(location, self._documents_above).in_format(ref.traits.zarr_format)
        there = damaged or check_free(
            location, overwrite=self.overwrite or ours, found=found, names=names
        )
        kept = there and ours
        written = replace(ref.in_format(around.zarr_format), generation=self.generation)
        target = Target(
            planned=ref,
            ref=replace(written, keys=keys_of(written, found)) if kept else written,
            stamp=stamp if kept and stamp is not None else self.stamp,
            found=found,
            standing=found,
            kept=kept,
            damaged=damaged,
            bare=names == [],
            around=around,
        )
        return target if kept or damaged or not there else self._next_to(target)

    def _next_to(self, target: Target) -> Target:
        """Return ``target`` as it is made without touching the array that it replaces, if that can be."""
        new = next_to(target.place, self.stamp)
        if new is None:
            return self._among(target)
        check_can_be_exchanged(target.place)
        standing = documents(new)
        return replace(
            self._standing(target, standing),
            ref=target.ref.at(new),
            damaged=bool(self.stamp.plan) and is_unreadable(new, standing),
            replacing=Replacing.NEXT_TO,
        )

    def _among(self, target: Target) -> Target:
        """Return ``target`` with other chunk keys than those of the array that it replaces, if there are any."""
        keys = other_keys(target.ref, target.found)
        if keys is None:
            return replace(target, replacing=Replacing.AT_ONCE)
        return replace(
            self._standing(target, read_staged(target.place)),
            ref=replace(target.ref, keys=keys),
            replacing=Replacing.OTHER_KEYS,
        )

    def _standing(self, target: Target, standing: Mapping[str, bytes]) -> Target:
        stamp = stamp_of(standing)
        kept = self._is_ours(stamp)
        mine = stamp if kept and stamp is not None else self.stamp
        return replace(target, stamp=mine, standing=standing, kept=kept)

    def _is_ours(self, stamp: Stamp | None) -> bool:
        return stamp is not None and bool(stamp.plan) and stamp.plan == self.stamp.plan

    def _settled(self, target: Target, *, resumed: bool, fits: Callable[[Target], bool]) -> Target:
        if self._surely_free(target):
            return target
        if documents(target.place) != target.found:
            # Another run has ended here since it was examined.
            target = self._examined(target.planned)
        if target.damaged:
            target = self._with_damage(target, resumed=resumed)
        target = self._fitting(target, fits)
        if target.place.local_path is None and target.replacing is Replacing.NOTHING:
            if target.kept:
                clear_left(target.ref)
            else:
                clear_orphans(target.place)
        sweep(target.place, but=target.ref.location if target.kept else target.place)
        if target.replacing is Replacing.NEXT_TO:
            self._hold(target.ref.location)
        return target

    def _surely_free(self, target: Target) -> bool:
        """Return whether ``target`` is made, or refused, without another look at its place, where nothing was.

        If another run has ended there since, the creation finds its array, and this one is refused.
        """
        return target.bare

    def _with_damage(self, target: Target, *, resumed: bool) -> Target:
        if resumed:
            return replace(target, kept=True)
        if target.replacing is not Replacing.NOTHING:
            return target
        check_free(target.place, overwrite=self.overwrite, found=target.found)
        return self._next_to(replace(target, damaged=False))

    def _fitting(self, target: Target, fits: Callable[[Target], bool]) -> Target:
        if not target.kept or fits(target):
            return target
        other = replace(target, kept=False, stamp=self.stamp)
        if target.replacing is not Replacing.NOTHING:
            return other
        return self._fitting(self._next_to(other), fits)

    def _tell(self, note: str) -> None:
        self.notes.append(note)
        _log.warning("%s", note)

    def _documents_above(self, location: Location) -> Mapping[str, bytes]:
        """Return the metadata of what is above targets, read once for all of them."""
        name = identity(location)
        if name not in self._above:
            self._above[name] = documents(location)
        return self._above[name]

    def _hold(self, location: Location) -> None:
        hold_target(location, self.stamp.run, self._holds)

    def _check_held(self) -> None:
        for place, hold in self._holds:
            if isinstance(hold, Lease) and hold.lost:
                raise replaced(place)

    def _publish_all(self) -> None:
        def publish_each() -> list[Location]:
            for_each(publish, self.all, stop=_go_on)
            return []

        def listed() -> list[Location]:
            return listed_in(self.all, self.groups)

        # The groups are read at the same time where that takes a round trip.
        remote = any(target.place.local_path is None for target in self.all)
        _, among = at_once([publish_each, listed]) if remote else (publish_each(), listed())
        announce_all(self.all, self.groups, among)

    def _take_back(self) -> None:
        self.published = False
        for target in self.all:
            try:
                take_back(target)
            except StorageError as error:
                _log.warning("%s cannot be taken back: %s", target.place, error)
        with suppress(AsyncexecError):
            back = [t for t in self.all if t.replacing is not Replacing.NOTHING]
            announce_all(back, (), listed_in(back, ()))

    def _removed(self, target: Target) -> StorageError | None:
        try:
            remove_made(target, self.stamp.run)
        except StorageError as error:
            return error
        return None

    def _sweep(self) -> None:
        for target in self.all:
            sweep_partial(target.ref)


def _release(claimed: list[Location], holds: list[tuple[Location, Hold]], stamp: Stamp) -> None:
    while holds:
        holds.pop()[1].close()
    while claimed:
        release(claimed.pop(), stamp)


def _cleared(target: Target) -> None:
    try:
        clear_replaced(target)
    except OSError as error:
        _log.warning(
            "what was at %s is now at %s, and cannot be removed: %s",
            target.place,
            target.ref.location,
            error,
        )


def _go_on() -> None:
    """Return: what ends a run is not stopped."""
