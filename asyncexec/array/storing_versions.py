"""Storing arrays into a session of Icechunk, by one plan and with one commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, overload

from asyncexec.array.array import Array
from asyncexec.array.blocking import run
from asyncexec.array.lowering import RequestedArray
from asyncexec.array.nodes import Node
from asyncexec.array.session_writes import SessionPlace
from asyncexec.array.spec import Spec
from asyncexec.array.storing import Computation
from asyncexec.array.wrapping import as_nodes
from asyncexec.errors import OptionError, WriteConflictError
from asyncexec.plan.box import Shape
from asyncexec.storage.chunks.arrays import StoredArray
from asyncexec.storage.places.held_stores import is_of_icechunk
from asyncexec.storage.places.locations import locate
from asyncexec.storage.versions.commits import Commit
from asyncexec.storage.versions.sessions import check_session, session_of

COMPUTATION_OPTIONS = (
    "regions",
    "chunks",
    "shards",
    "attributes",
    "metadata",
    "rebase_with",
    "rebase_tries",
    "allow_empty",
)
"""The options of :func:`store_icechunk` that are none of a run, besides ``commit`` and ``overwrite``."""

type Region = tuple[slice, ...]
type SessionTargetLike = str | Any
"""A path in the session's store, or an array of it that was opened with Zarr."""


@overload
def store_icechunk(
    sources: Array | Sequence[Array],
    targets: SessionTargetLike | Sequence[SessionTargetLike],
    session: Any,
    /,
    *,
    compute: Literal[True] = ...,
    commit: str | None = ...,
    **options: Any,
) -> str | None: ...


@overload
def store_icechunk(
    sources: Array | Sequence[Array],
    targets: SessionTargetLike | Sequence[SessionTargetLike],
    session: Any,
    /,
    *,
    compute: Literal[False],
    commit: str | None = ...,
    **options: Any,
) -> Computation: ...


def store_icechunk(
    sources: Array | Sequence[Array],
    targets: SessionTargetLike | Sequence[SessionTargetLike],
    session: Any,
    /,
    *,
    commit: str | None = None,
    overwrite: bool = False,
    regions: Region | Sequence[Region] | None = None,
    chunks: Shape | None = None,
    shards: Shape | None = None,
    attributes: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    rebase_with: Any = None,
    rebase_tries: int = 1_000,
    allow_empty: bool = False,
    compute: bool = True,
    **options: Any,
) -> str | Computation | None:
    """Store arrays into a writable session of Icechunk, by one plan; the commit, if there is one, is the last step.

    Each task writes into a fork of the session, also on other machines. One fork of each task is merged, whatever was
    retried, started twice or lost; a run that fails or is cancelled leaves the session as it was. In a coroutine write
    ``await ax.store_icechunk(...)``, with the same arguments.

    >>> import icechunk
    >>> repo = icechunk.Repository.create(icechunk.in_memory_storage())
    >>> session = repo.writable_session("main")
    >>> x = xp.arange(6, chunks=2)
    >>> snapshot = xp.store_icechunk([x, x * 2], ["x", "group/doubled"], session, commit="two arrays")
    >>> xp.from_zarr(repo.readonly_session(snapshot_id=snapshot).store, path="group/doubled").compute()
    array([ 0,  2,  4,  6,  8, 10])

    Parameters
    ----------
    sources : Array or sequence of Array
    targets : str, zarr.Array, or sequence of these
        A path of a new array, of which groups are made as needed; or an array that was opened in ``session.store``,
        into which is written.
    session : icechunk.Session
        Of ``repo.writable_session(branch)``.
    commit : str, optional
        The message of a commit. Without one, the session has the changes, and nothing is committed.
    overwrite : bool
        Whether an array at a path may be replaced; the old one stays in earlier snapshots.
    regions : tuple of slice, or sequence of these, optional
        The part of each target that is written, of targets that are opened arrays. It begins and ends between chunks
        (or shards), or at the array's end.
    chunks, shards : tuple of int, optional
        Of new arrays; by default chunks are those of the source, and there are no shards.
    attributes : mapping, optional
        Of new arrays.
    metadata : mapping, optional
        Kept with the commit.
    rebase_with : icechunk.ConflictSolver, optional
        Decides about conflicts, where others have committed to the branch meanwhile.
    rebase_tries : int
    allow_empty : bool
        As ``Session.commit`` has them.
    compute : bool
        With False, the computation is returned instead, for ``await engine.execute(...)``; its value is the snapshot.
    **options
        As for :meth:`Array.compute`.

    Returns
    -------
    str or None
        The snapshot of the commit, if there is one.

    Raises
    ------
    CommitConflictError
        If the branch has other commits by then; the session has all changes, and the error says how to go on.
    WriteConflictError
        If two tasks would write one chunk or shard: the chunks of a source are not multiples of it.
    TargetExistsError
        If there is an array at a path already, and not ``overwrite``.
    OptionError
        If sources and targets do not fit each other, or workers cannot reach the repository.
    StorageError
        If the session is read-only.
    """
    computation = session_computation(
        sources,
        targets,
        session,
        overwrite=overwrite,
        regions=regions,
        place=SessionPlace(
            chunks=None if chunks is None else tuple(chunks),
            shards=None if shards is None else tuple(shards),
            attributes=dict(attributes or {}),
        ),
        commit=None
        if commit is None
        else Commit(
            message=commit,
            metadata=metadata,
            rebase_with=rebase_with,
            rebase_tries=rebase_tries,
            allow_empty=allow_empty,
        ),
    )
    if not compute:
        if options:
            raise OptionError(
                f"{', '.join(sorted(options))}: options of a run are given where the computation is executed"
            )
        return computation
    snapshot: str | None = run(
        computation,
        options,
        called="xp.store_icechunk(x, path, session)",
        instead="await ax.store_icechunk(x, path, session)",
    )
    return snapshot


def session_computation(
    sources: Array | Sequence[Array],
    targets: SessionTargetLike | Sequence[SessionTargetLike],
    session: Any,
    *,
    overwrite: bool,
    regions: Region | Sequence[Region] | None,
    place: SessionPlace,
    commit: Commit | None,
) -> Computation:
    """Return what stores ``sources`` at ``targets`` in ``session``; ``place`` says how new arrays are stored."""
    _check_session(session, commits=commit is not None)
    single = not isinstance(sources, list | tuple)
    given: list[Any] = [sources] if single else list(sources)
    places: list[Any] = [targets] if single else list(targets)
    nodes, spec = as_nodes(given, "store_icechunk")
    parts = _parts(regions, single=single, count=len(nodes))
    if not nodes or len(nodes) != len(places) or len(nodes) != len(parts):
        raise OptionError(
            f"{len(nodes)} arrays cannot be stored at {len(places)} targets"
            f"{'' if regions is None else f' and {len(parts)} regions'}: give one for each"
        )
    results = tuple(
        _requested(node, target, part, session, place)
        for node, target, part in zip(nodes, places, parts, strict=True)
    )
    _check_distinct(results)
    return Computation(results=results, spec=spec or Spec(), overwrite=overwrite, commit=commit)


def _check_session(session: Any, *, commits: bool) -> None:
    if not is_of_icechunk(session) or not hasattr(session, "fork"):
        raise OptionError(
            f"a {type(session).__name__} is no session of Icechunk: give repo.writable_session('main')"
        )
    check_session(session, commits=commits)


def _parts(regions: Any, *, single: bool, count: int) -> Sequence[Region | None]:
    if regions is None:
        return [None] * count
    return [regions] if single else list(regions)


def _requested(
    node: Node, target: SessionTargetLike, part: Region | None, session: Any, place: SessionPlace
) -> RequestedArray:
    if isinstance(target, str):
        if part is not None:
            raise OptionError(
                f"regions are parts of arrays that are there: give zarr.open_array(session.store, path={target!r}) "
                f"instead of the path"
            )
        location = locate(session.store, path=target)
        if not location.url:
            raise OptionError("give the path of the array in the session's store, such as 'x'")
        _check_aligned(node, place.shards or place.chunks or node.chunks, str(location), target)
        return RequestedArray(node=node, place=location, session=place)
    within = _opened(target, session)
    begin = _begin(node, within, part)
    _check_aligned(node, within.unit, str(within.location), within.location.url)
    return RequestedArray(
        node=node, place=within.location, session=SessionPlace(within=within, begin=begin)
    )


def _opened(target: Any, session: Any) -> StoredArray:
    from asyncexec.storage.places.opening import open_array  # noqa: PLC0415 - brings Zarr, which is dear

    store = getattr(getattr(target, "store_path", None), "store", None)
    if store is None or not is_of_icechunk(store) or session_of(store) != session:
        raise OptionError(
            f"{target!r} is no target in this session: give a path, or an array that was opened in session.store"
        )
    return open_array(target)


def _begin(node: Node, within: StoredArray, part: Region | None) -> Shape:
    """Return the first element of the part of ``within`` that is written, after checking that it fits."""
    region = part or tuple(slice(None) for _ in within.shape)
    if len(region) != within.ndim or any(along.step not in (None, 1) for along in region):
        raise OptionError(
            f"{region} is no part of {within.location}: give a slice without step for each of its {within.ndim} axes"
        )
    bounds = [along.indices(n)[:2] for along, n in zip(region, within.shape, strict=True)]
    shape = tuple(max(stop - start, 0) for start, stop in bounds)
    if shape != node.shape or node.dtype != within.numpy_dtype:
        raise OptionError(
            f"an array of {node.dtype}{list(node.shape)} does not fit what it is to be stored at, "
            f"{within.dtype}{list(shape)} of {within.location}"
        )
    for axis, ((start, stop), unit, n) in enumerate(
        zip(bounds, within.unit, within.shape, strict=True)
    ):
        if start % unit or (stop % unit and stop != n):
            raise WriteConflictError(
                f"{start}:{stop} along axis {axis} of {within.location} cuts through a chunk (or shard) of {unit}, "
                f"which would be written in part: begin and end at multiples of {unit}"
            )
    return tuple(start for start, _ in bounds)


def _check_aligned(node: Node, unit: Shape, location: str, name: str) -> None:
    """Raise a WriteConflictError where two tasks would write one chunk or shard."""
    if len(unit) != len(node.shape):
        raise OptionError(
            f"chunks and shards have one length an axis: {unit} is not for {location}, which has {len(node.shape)}"
        )
    for axis, (n, chunk, whole) in enumerate(zip(node.shape, node.chunks, unit, strict=True)):
        if chunk % whole and chunk < n:
            raise WriteConflictError(
                f"the array for {name!r} has chunks of {node.chunks}, and chunks (or shards) there are of {unit}, so "
                f"that two tasks would write one of them: rechunk it to multiples, such as x.rechunk({unit}) "
                f"(axis {axis})"
            )


def _check_distinct(results: Sequence[RequestedArray]) -> None:
    taken: list[tuple[str, RequestedArray]] = []
    for result in results:
        assert result.place is not None  # noqa: S101 - each has one
        place = result.place.url
        for other, before in taken:
            same = place == other and not _are_apart(result, before)
            if same or place.startswith(f"{other}/") or other.startswith(f"{place}/"):
                raise OptionError(
                    f"two arrays are to be stored at {result.place}, or one inside of the other: give each a place of "
                    f"its own"
                )
        taken.append((place, result))


def _are_apart(one: RequestedArray, other: RequestedArray) -> bool:
    """Return whether two parts of one array share no element."""
    first, second = one.session, other.session
    if first is None or second is None or first.within is None or second.within is None:
        return False
    along = zip(first.begin, one.node.shape, second.begin, other.node.shape, strict=True)
    return any(a + n <= b or b + m <= a for a, n, b, m in along)
