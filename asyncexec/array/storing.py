"""Reading arrays from Zarr, storing them there, and computing several at once."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from asyncexec.array.array import Array
from asyncexec.array.blocking import run
from asyncexec.array.lowering import RequestedArray, lower
from asyncexec.array.session_writes import SessionPlace
from asyncexec.array.sources import stored_source
from asyncexec.array.spec import Spec
from asyncexec.array.wrapping import as_array, as_nodes
from asyncexec.errors import OptionError
from asyncexec.plan import Plan, Plannable
from asyncexec.storage.places.identity import Places
from asyncexec.storage.places.locations import Location, locate
from asyncexec.storage.versions.commits import Commit
from asyncexec.storage.versions.sessions import in_session

type Place = str | os.PathLike[str] | Any


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Computation:
    """Several arrays that are computed, or stored, by one plan; what they share is computed once.

    Anything that executes plans takes it: ``await engine.execute(computation)``.

    >>> x = xp.arange(4, chunks=2)
    >>> storing = xp.store([x, x * 2], ["x.zarr", "doubled.zarr"])
    >>> storing.to_plan().tasks
    4
    >>> storing.compute()

    Attributes
    ----------
    results : tuple of RequestedArray
    spec : Spec
    overwrite : bool
        Whether arrays that exist at the targets may be replaced.
    commit : Commit or None
        The commit at the end, where they are in an Icechunk session.
    """

    results: tuple[RequestedArray, ...]
    spec: Spec
    overwrite: bool = False
    commit: Commit | None = None

    def to_plan(self) -> Plan:
        """Return the plan; its value is the tuple of the arrays that are not stored (None if all are)."""
        return lower(
            self.results, self.spec, overwrite=self.overwrite, unpack=False, commit=self.commit
        )

    def compute(self, /, **options: Any) -> Any:
        """Run it and wait for its end, on the spec's executor; see :meth:`Array.compute`."""
        return run(
            self,
            options,
            called="xp.store(arrays, targets).compute()",
            instead="await ax.execute(xp.store(arrays, targets))",
        )


def from_zarr(
    place: Place,
    /,
    *,
    path: str = "",
    spec: Spec | None = None,
    storage_options: Mapping[str, Any] | None = None,
    unfinished: bool = False,
) -> Array:
    """Return the Zarr array (format 3 or 2) at ``place``, as it is now.

    >>> xp.to_zarr(xp.arange(6, chunks=2), "x.zarr")
    >>> x = xp.from_zarr("x.zarr")
    >>> x
    <asyncexec.Array shape=(6,) dtype=int64 chunks=(2,) (48 B)>
    >>> x[-2:].compute()
    array([4, 5])

    Parameters
    ----------
    place : path, URL or Zarr store
    path : str
        Where in ``place``, for an array in a group.
    spec : Spec, optional
    storage_options : mapping, optional
        What the store is opened with; by default the spec's.
    unfinished : bool
        Whether an array is taken that a run has not completed: what is missing reads as fill values.

    Raises
    ------
    ArrayNotFoundError
        If there is none.
    UnfinishedArrayError
        If a run is still writing it, or was killed, and ``unfinished`` is off.
    CorruptArrayError
        If there is something that cannot be read as one.
    TypeError
        If its elements have an unsupported type.
    """
    from asyncexec.storage.places.opening import open_array  # noqa: PLC0415 - brings Zarr, which is dear

    options = storage_options if storage_options is not None else _options_of(spec)
    return Array(stored_source(open_array(place, options, path=path, unfinished=unfinished)), spec)


def store(
    arrays: Sequence[Array],
    targets: Sequence[Place],
    /,
    *,
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
) -> Computation:
    """Return what stores ``arrays`` as Zarr arrays at ``targets``, by one plan; nothing runs yet.

    ``await engine.execute(store([a, b], ["a.zarr", "b.zarr"]), resume=True)`` runs it; so does ``.compute()`` in
    scripts and notebooks. A run that fails leaves nothing at the targets.

    >>> x = xp.arange(4, chunks=2)
    >>> async with ax.Engine() as engine:
    ...     result = await engine.execute(xp.store([x, x + 0.5], ["a.zarr", "b.zarr"]))
    >>> xp.from_zarr("b.zarr").compute()
    array([0.5, 1.5, 2.5, 3.5])

    Raises
    ------
    OptionError
        If there are not as many targets as arrays, or one is named twice.
    """
    if isinstance(arrays, Array) or isinstance(targets, str | os.PathLike):
        raise OptionError("store takes lists: store([x], [place])")
    nodes, spec = as_nodes(list(arrays), "store")
    places = list(targets)
    if len(nodes) != len(places):
        raise OptionError(
            f"{len(nodes)} arrays cannot be stored at {len(places)} targets: give one for each"
        )
    options = storage_options if storage_options is not None else _options_of(spec)
    located = [locate(place, options) for place in places]
    _check_distinct(located)
    results = tuple(
        RequestedArray(node=n, place=p, session=SessionPlace() if in_session(p) else None)
        for n, p in zip(nodes, located, strict=True)
    )
    return Computation(results=results, spec=spec or Spec(), overwrite=overwrite)


def to_zarr(
    x: Array,
    /,
    place: Place,
    *,
    path: str = "",
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    **options: Any,
) -> None:
    """Compute ``x``, and store it as a Zarr array at ``place``; ``options`` as for :meth:`Array.compute`.

    In a coroutine of a service, which it would block, write ``await ax.execute(xp.store([x], [place]))`` instead.

    >>> xp.to_zarr(xp.ones((4, 4), chunks=(2, 4)), "ones.zarr")
    >>> xp.from_zarr("ones.zarr").chunks
    (2, 4)
    >>> xp.to_zarr(xp.zeros(4), "ones.zarr", overwrite=True)

    Raises
    ------
    TargetExistsError
        If there is an array already, and not ``overwrite``.
    """
    array = as_array(x, "to_zarr")
    chosen = storage_options if storage_options is not None else _options_of(array.own_spec)
    target = locate(place, chosen, path=path)
    run(
        store([array], [target], overwrite=overwrite),
        options,
        called="xp.to_zarr(x, place)",
        instead="await ax.execute(xp.store([x], [place]))",
    )


def compute(*arrays: Array, **options: Any) -> tuple[np.ndarray[Any, Any], ...]:
    """Compute several arrays by one plan, and return them as NumPy arrays; options as for :meth:`Array.compute`.

    In a coroutine of a service, ``await ax.compute(x, y)`` does the same.

    >>> x = xp.arange(1_000, chunks=100) / 999
    >>> low, high = xp.compute(xp.min(x), xp.max(x))
    >>> low, high
    (array(0.), array(1.))
    """
    if not arrays:
        return ()
    value: tuple[np.ndarray[Any, Any], ...] = run(
        computation_of(*arrays),
        options,
        called="xp.compute(x, y)",
        instead="await ax.compute(x, y)",
    )
    return value


def computation_of(*arrays: Any) -> Computation:
    """Return what computes several arrays by one plan, and stores none; its value is the tuple of them."""
    plans = [a for a in arrays if isinstance(a, Plannable) and not isinstance(a, Array)]
    if plans:
        kind = type(plans[0]).__name__
        raise TypeError(f"compute() takes arrays, and got a {kind}: write await ax.execute(it)")
    nodes, spec = as_nodes(arrays, "compute")
    results = tuple(RequestedArray(node=node) for node in nodes)
    return Computation(results=results, spec=spec or Spec())


def plan_of(*arrays: Array) -> Plan:
    """Return one plan that computes several arrays; its value is the tuple of them.

    >>> x = xp.arange(6, chunks=2)
    >>> xp.plan_of(xp.sum(x), xp.mean(x)).tasks
    8
    """
    nodes, spec = as_nodes(arrays, "plan_of")
    results = tuple(RequestedArray(node=node) for node in nodes)
    return Computation(results=results, spec=spec or Spec()).to_plan()


def _options_of(spec: Spec | None) -> Mapping[str, Any] | None:
    return None if spec is None else spec.storage_options


def _check_distinct(places: Sequence[Location]) -> None:
    taken = Places()
    for place in places:
        other = taken.find(place)
        if other is not None:
            raise OptionError(
                f"two arrays are to be stored at {other.spelling} and {place.spelling}, which is one place, or one "
                f"inside of the other: give each a place of its own"
            )
        taken.add(place)
