"""The arrays that a plan writes into a session: made in a fork, filled by tasks in forks of that, merged at the end.

The session itself is changed once, when all is complete: by one merge, after which the commit follows where one was
asked for. So it stays as it was when a run fails or is cancelled, and nothing has to be undone.
"""

from __future__ import annotations

import json
import pickle
import uuid
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TYPE_CHECKING, Any

from asyncexec.errors import OptionError, StorageError, TargetExistsError
from asyncexec.request_failures.reading import failure_of
from asyncexec.request_failures.reasons import Nature
from asyncexec.storage.places.array_documents import array_documents, dimension_names
from asyncexec.storage.places.errors import storage_error
from asyncexec.storage.places.groups import surroundings
from asyncexec.storage.places.locations import Location
from asyncexec.storage.places.metadata import is_group
from asyncexec.storage.places.objects import objects_at
from asyncexec.storage.places.suitability import check_writable
from asyncexec.storage.versions.changes import Changes
from asyncexec.storage.versions.commits import Commit, committed
from asyncexec.storage.versions.forks import ForkIO, ForkSource, PartOfArray, forget_forks
from asyncexec.storage.versions.sessions import (
    DOCUMENT,
    asked,
    check_session,
    session_of,
    unreachable,
)

if TYPE_CHECKING:
    from asyncexec.plan.box import Shape
    from asyncexec.storage.chunks.arrays import StoredArray
    from asyncexec.storage.chunks.block_io import BlockIO, TaskOutput

_GROUP = json.dumps({"zarr_format": 3, "node_type": "group", "attributes": {}}).encode()


@dataclass(frozen=True, eq=False, kw_only=True)
class SessionTarget:
    """An output of a stage in a session: a new array, or a part of one that is there.

    Attributes
    ----------
    output : TaskOutput
        The array and the blocks that tasks write.
    within : StoredArray or None
        The array that is there; None for a new one.
    begin : tuple of int
        The first element of the part in that array, along each axis.
    attributes : mapping
        Those of a new array.
    """

    output: TaskOutput
    within: StoredArray | None = None
    begin: Shape = ()
    attributes: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def ref(self) -> StoredArray:
        """The array that tasks write."""
        return self.output.ref

    @property
    def part(self) -> PartOfArray:
        """The place of what is written in its array."""
        begin = self.begin or (0,) * self.ref.ndim
        return PartOfArray(array=self.within or self.ref, begin=begin)


@dataclass(frozen=True, eq=False, kw_only=True)
class SessionWrites:
    """The arrays that a plan writes into one session.

    Attributes
    ----------
    targets : mapping of str to tuple of SessionTarget
        By stage, one for each output.
    receipts : mapping of str to int
        The stages whose values are forks to merge, with the number of their tasks.
    commit : Commit or None
        The commit at the end; without one, the session is left with the changes.
    overwrite : bool
        Whether arrays that are there may be replaced.
    """

    targets: Mapping[str, tuple[SessionTarget, ...]]
    receipts: Mapping[str, int]
    commit: Commit | None = None
    overwrite: bool = False

    def open(self, *, same_process: bool, stop: Callable[[], None]) -> OpenWrites:
        """Make the new arrays in a fork of the session, and let tasks begin with it.

        A run that is resumed does that too: what the session of a driver that was killed had not committed is gone.

        Raises
        ------
        OptionError
            If targets are in several sessions, or workers do not reach the repository.
        TargetExistsError
            If there is an array already and not ``overwrite``, or anything else.
        StorageError
            If the session is read-only, or has changes that new arrays would contradict.
        """
        targets = [target for outputs in self.targets.values() for target in outputs]
        session = _one_session(targets)
        # Before anything is made: what cannot be committed is not computed for nothing.
        check_session(session, commits=self.commit is not None)
        for target in targets:
            check_writable(target.ref.location)
        stop()
        place = replace(targets[0].ref.location, url="")
        fork = asked(session.fork, session, place, "cannot be forked")
        making = _Making(fork.store, Changes.of(session), overwrite=self.overwrite)
        for target in targets:
            if target.within is None:
                try:
                    making.make(target)
                except Exception as error:  # noqa: BLE001 - as the store puts it
                    raise storage_error(error, target.ref.location, "cannot be made") from None
        stop()
        # Of what was made it holds a snapshot, so that forks of it are small: what a task has written, and no more.
        base = asked(fork.fork, session, place, "cannot be forked")
        source = ForkSource(uuid.uuid4().hex, pickle.dumps(base))
        if not _is_reachable(source, base):
            if not same_process:
                raise unreachable(place)
            # The fork itself then, as its repository is in this process and does not travel.
            source = ForkSource(source.key, source.pickled, base)
        found = OpenWrites(
            writes=self,
            session=session,
            fork=fork,
            source=source,
            made=frozenset(making.made),
            replaced=making.replaced,
            stop=stop,
        )
        _take_turn(found)
        return found


@dataclass(frozen=True, eq=False, kw_only=True)
class OpenWrites:
    """The arrays that a plan writes into a session, during one run.

    Attributes
    ----------
    writes : SessionWrites
    session : icechunk.Session
    fork : icechunk.ForkSession
        Has the new arrays, and at the end all that tasks have written.
    source : ForkSource
        What attempts begin with.
    made : frozenset of str
        The arrays and groups that are new.
    replaced : list of str
        Those of them that replace arrays which only the session has.
    stop : callable
        Raises once the run has been cancelled.
    """

    writes: SessionWrites
    session: Any
    fork: Any
    source: ForkSource
    made: frozenset[str]
    replaced: Sequence[str]
    stop: Callable[[], None]

    def io(self, stage: str, blocks: BlockIO) -> BlockIO | ForkIO:
        """Return what the tasks of ``stage`` read and write."""
        targets = self.writes.targets.get(stage)
        if targets is None:
            return blocks
        return ForkIO(
            stage=stage,
            blocks=blocks,
            outputs=tuple(replace(t.output, array=_without_store(t.ref)) for t in targets),
            parts=tuple(replace(t.part, array=_without_store(t.part.array)) for t in targets),
            source=self.source,
        )

    def finish(self, values: Mapping[str, list[Any]]) -> str | None:
        """Merge one fork of each task into the session, and commit; return the snapshot of the commit, if there is one.

        Raises
        ------
        CommitConflictError
            If the branch has other commits by now; the session has the changes, and is not committed.
        StorageError
            If the session has been changed meanwhile so that they cannot be merged; it is as it was then.
        """
        for receipts in self._receipts(values):
            self.fork.merge(*map(pickle.loads, receipts))
        # The last moment at which the session is as it was.
        self.stop()
        try:
            for path in self.replaced:
                objects_at(_at(self.session.store, path)).delete()
            self.session.merge(self.fork)
        except Exception as error:
            if failure_of(error) is not None:
                place = _at(self.session.store, "")
                raise storage_error(error, place, "cannot be merged into") from None
            raise StorageError(
                f"what the plan has written cannot be merged into its Icechunk session, which was changed while the "
                f"plan ran: {_first_line(error)}. Store the arrays by one plan, or one plan after the other"
            ) from error
        if self.writes.commit is None:
            return None
        return committed(self.session, self.writes.commit, probe=self._ask)

    def close(self) -> None:
        """Let other runs make what this one has made, and let go of the forks that this process keeps."""
        with _lock:
            _running.discard(self)
        forget_forks(self.source)

    def _ask(self) -> None:
        """Ask the repository for something small, on connections of its own."""
        objects_at(_at(self.source.new().store, ""), read_only=True).get(DOCUMENT)

    def _receipts(self, values: Mapping[str, list[Any]]) -> list[list[bytes]]:
        found: list[list[bytes]] = []
        for stage, tasks in self.writes.receipts.items():
            whole = [r for r in values.get(stage, ()) if isinstance(r, bytes | bytearray)]
            if len(whole) != tasks:
                raise StorageError(
                    f"stage {stage!r} has {tasks} tasks, and {len(whole)} forks of the Icechunk session have come from "
                    f"them: nothing was merged. Report this as a bug"
                )
            found.append(list(map(bytes, whole)))
        return found


_lock = Lock()
_running: weakref.WeakSet[OpenWrites] = weakref.WeakSet()


def _take_turn(writes: OpenWrites) -> None:
    """Note that a run makes arrays and groups in its session; of two that make the same, Icechunk merges one.

    Raises
    ------
    TargetExistsError
        If another run of this process is making some of them.
    """
    with _lock:
        for other in _running:
            # By equality: a session that was pickled and opened again is the same one.
            shared = other.made & writes.made if other.session == writes.session else ()
            if shared:
                raise TargetExistsError(
                    f"another run is making /{min(shared)} in the same Icechunk session at the same time, and Icechunk "
                    f"merges one of the two: wait for that run, or store by one plan"
                )
        _running.add(writes)


def _without_store(ref: StoredArray) -> StoredArray:
    # A writable session does not travel: tasks open the array in their forks.
    return ref.at(replace(ref.location, store=None))


def _one_session(targets: Sequence[SessionTarget]) -> Any:
    session, *others = [_session_at(target.ref.location) for target in targets]
    if any(other != session for other in others):
        raise OptionError(
            "the targets are in several Icechunk sessions: store into one session by one plan"
        )
    return session


def _session_at(location: Location) -> Any:
    assert location.store is not None  # noqa: S101 - it is Icechunk's
    return session_of(location.store)


class _Making:
    """Makes arrays in a fork of a session.

    Parameters
    ----------
    store : IcechunkStore
        That of the fork.
    changes : Changes
        Those of the session.
    overwrite : bool
    """

    def __init__(self, store: Any, changes: Changes, *, overwrite: bool) -> None:
        self._store = store
        self._changes = changes
        self._overwrite = overwrite
        self.made: list[str] = []
        self.replaced: list[str] = []

    def make(self, target: SessionTarget) -> None:
        """Make the array of ``target``, and the groups around it.

        Raises
        ------
        TargetExistsError, StorageError
            If something is in the way.
        """
        ref = target.ref
        place = replace(ref.location, store=self._store)
        objects = objects_at(place)
        found = objects.get(DOCUMENT)
        there = {} if found is None else {DOCUMENT: found}
        self._check_free(ref.location, there)
        for group in surroundings(place).missing:
            self._changes.check_new(group)
            objects_at(group).put(DOCUMENT, _GROUP)
            self.made.append(group.url)
        if self._changes.check_new(ref.location, replaces=found is not None):
            self.replaced.append(ref.location.url)
        # Icechunk adds to what is there; the chunks of the old array would stay.
        if found is not None:
            objects.delete()
        document = array_documents(ref, dimension_names(ref, there))[DOCUMENT]
        objects.put(DOCUMENT, _with_attributes(document, target.attributes))
        self.made.append(ref.location.url)

    def _check_free(self, location: Location, there: Mapping[str, bytes]) -> None:
        if there and is_group(there):
            raise TargetExistsError(
                f"{location} is a Zarr group, which is not replaced by an array. Store inside of it, or elsewhere"
            )
        if there and not self._overwrite:
            raise TargetExistsError(
                f"{location} holds a Zarr array already. Pass overwrite=True to replace it, or store elsewhere"
            )


def _with_attributes(document: bytes, attributes: Mapping[str, Any]) -> bytes:
    if not attributes:
        return document
    described = json.loads(document)
    described["attributes"] = {**described.get("attributes", {}), **attributes}
    return json.dumps(described, indent=2).encode()


def _is_reachable(source: ForkSource, base: Any) -> bool:
    """Return whether a fork that has travelled has the repository that ``base`` has."""
    try:
        there = objects_at(_at(source.new().store, "")).get(DOCUMENT)
    except Exception as error:  # noqa: BLE001 - as the store puts it
        failure = failure_of(error)
        if failure is not None and failure.reason.nature is not Nature.PERMANENT:
            raise storage_error(error, _at(base.store, ""), "cannot be read") from None
        return False  # An empty repository says so in several ways.
    return there == objects_at(_at(base.store, "")).get(DOCUMENT)


def _at(store: Any, path: str) -> Location:
    return Location(path, store=store)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
