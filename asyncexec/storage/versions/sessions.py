"""Sessions of Icechunk, known without importing it: which stores are theirs, and what of them workers can reach."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from asyncexec.errors import OptionError, StorageError
from asyncexec.storage.chunks.arrays import StoredArray
from asyncexec.storage.places.errors import storage_error
from asyncexec.storage.places.held_stores import innermost, is_of_icechunk
from asyncexec.storage.places.objects import objects_at
from asyncexec.storage.places.repository_names import repository_name
from asyncexec.storage.places.requests import request
from asyncexec.storage.versions.waiting import within

if TYPE_CHECKING:
    from zarr.abc.store import Store

    from asyncexec.storage.chunks.block_io import BlockIO, TaskInput
    from asyncexec.storage.places.locations import Location

DOCUMENT = "zarr.json"
"""The name of the metadata of arrays and groups; Icechunk has format 3 only."""


def in_session(location: Location) -> bool:
    """Return whether ``location`` is in the store of an Icechunk session.

    Raises
    ------
    OptionError
        If that store is inside of a wrapper, which would not know of forks.
    """
    store = location.store
    if store is None or is_of_icechunk(store):
        return store is not None
    if is_of_icechunk(innermost(store)):
        raise OptionError(
            f"{location} is an Icechunk store inside of a {type(store).__name__}, which several tasks cannot write to: "
            f"hand in session.store itself"
        )
    return False


def session_of(store: Store) -> Any:
    """Return the session that a store of Icechunk's belongs to."""
    return getattr(store, "session")  # noqa: B009 - Zarr's stores have none


def check_session(session: Any, *, commits: bool = False) -> None:
    """Check that a plan can store into ``session``, and commit it.

    Raises
    ------
    StorageError
        If it is read-only, or one that only moves what is there.
    OptionError
        If it is a fork, which is not committed.
    """
    if commits and _is_fork(session):
        raise OptionError(
            "a fork of an Icechunk session is not committed: leave out commit, merge the fork into its session, and "
            "commit that"
        )
    if session.read_only:
        raise StorageError(
            "this Icechunk session is read-only: it was opened so, or has been committed. Open another one with "
            "repo.writable_session('main')"
        )
    if str(session.mode).upper().endswith("REARRANGE"):
        raise StorageError(
            "this Icechunk session only moves arrays and groups: store into one of repo.writable_session('main')"
        )


def asked[T](call: Callable[[], T], session: Any, location: Location, what: str) -> T:
    """Return what ``call`` returns, which asks the repository of ``session``; repeated where that helps.

    Raises
    ------
    StorageError
        If it fails for good; ``what`` is the end of the sentence (``"cannot be forked"``).
    """
    try:
        return request(lambda seconds: within(call, seconds), repository_name(session))
    except Exception as error:  # noqa: BLE001 - as the store puts it
        raise storage_error(error, location, what) from None


def unreachable(location: Location) -> OptionError:
    """Return the error for a repository that other processes do not see."""
    return OptionError(
        f"{location} is in an Icechunk repository in this process's memory (or in a place that only this process "
        f"reaches), where workers of this executor cannot reach it: use executor='threads', or a repository in a "
        f"directory or bucket"
    )


def sent_sources(blocks: Mapping[str, BlockIO]) -> dict[str, BlockIO]:
    """Return ``blocks`` (by stage) as workers in other processes can have them.

    Arrays of writable sessions are read from a fork, which holds what the session has not committed.

    Raises
    ------
    OptionError
        If a session's repository is in this process's memory.
    """
    # A list, as sessions cannot be hashed; there are one or two.
    forks: list[tuple[Any, Store]] = []

    def fork_of(session: Any, location: Location) -> Store:
        known = next((store for of, store in forks if of == session), None)
        if known is None:
            store: Store = asked(session.fork, session, location, "cannot be sent to workers").store
            forks.append((session, store))
            return store
        return known

    def sent(source: TaskInput) -> TaskInput:
        array = source.array
        if not isinstance(array, StoredArray) or not is_of_icechunk(array.location.store):
            return source
        location, store = array.location, array.location.store
        assert store is not None  # noqa: S101 - it is Icechunk's
        session = session_of(store)
        if not session.read_only and not _is_fork(session):
            location = replace(location, store=fork_of(session, location))
        _check_reachable(location)
        return replace(source, array=array.at(location))

    return {
        stage: replace(io, sources=tuple(map(sent, io.sources))) for stage, io in blocks.items()
    }


def _is_fork(session: Any) -> bool:
    return type(session).__name__ == "ForkSession"


def _check_reachable(location: Location) -> None:
    # A repository in memory travels with all that it has, and is another one from then on.
    here = objects_at(location, read_only=True).get(DOCUMENT)
    travelled = replace(location, store=pickle.loads(pickle.dumps(location.store)))  # noqa: S301 - made here
    try:
        there = objects_at(travelled, read_only=True).get(DOCUMENT)
    except Exception:  # noqa: BLE001 - an empty repository has nothing, and says so in several ways
        there = None
    if here != there:
        raise unreachable(location)
