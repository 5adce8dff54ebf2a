"""Storing arrays as Zarr, and computing several at once."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from asyncexec.array.array import Array
from asyncexec.array.blocking import run
from asyncexec.array.lowering import RequestedArray, lower
from asyncexec.array.reading import Place
from asyncexec.array.regions import Align
from asyncexec.array.spec import Spec
from asyncexec.array.target_options import OF_SPEC, TargetOptions, one_for_each
from asyncexec.array.targets import StoredPart, requested
from asyncexec.array.wrapping import as_array, as_nodes
from asyncexec.errors import OptionError
from asyncexec.plan import Plan, Plannable
from asyncexec.storage.chunks.arrays import PartOfTarget
from asyncexec.storage.places.identity import Places
from asyncexec.storage.places.locations import locate
from asyncexec.storage.versions.commits import Commit


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


def store(
    arrays: Sequence[Array],
    targets: Sequence[Place],
    /,
    *,
    region: Any = None,
    append_dim: Any = None,
    align: Any = "strict",
    chunks: Any = None,
    shards: Any = None,
    compressors: Any = OF_SPEC,
    filters: Any = None,
    fill_value: Any = None,
    attributes: Any = None,
    dimension_names: Any = None,
    zarr_format: Any = None,
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
) -> Computation:
    """Return what stores ``arrays`` as Zarr arrays at ``targets``, by one plan; nothing runs yet.

    ``await engine.execute(store([a, b], ["a.zarr", "b.zarr"]), resume=True)`` runs it; so does ``.compute()`` in
    scripts and notebooks. A run that fails leaves nothing at new targets, and leaves an array to which it appends as it
    was; elements of a ``region`` that it has written over are not restored.

    Each option is for all arrays, or a list with one entry for each. What is several for one array (codecs, lengths,
    names, slices) is a tuple.

    >>> x = xp.arange(4, chunks=2)
    >>> async with ax.Engine() as engine:
    ...     result = await engine.execute(xp.store([x, x + 0.5], ["a.zarr", "b.zarr"]))
    >>> xp.from_zarr("b.zarr").compute()
    array([0.5, 1.5, 2.5, 3.5])
    >>> xp.store([-x], ["a.zarr"], region=(slice(0, 4),)).compute()
    >>> xp.store([x[:2]], ["a.zarr"], append_dim=0).compute()
    >>> xp.from_zarr("a.zarr").compute()
    array([ 0, -1, -2, -3,  0,  1])

    Parameters
    ----------
    arrays : sequence of Array
    targets : sequence of path, URL or Zarr store
    region : tuple of slice, or mapping of axes (names or numbers) to slices, optional
        The part of the array at the target, which is there already, that is written. It begins and ends between chunks
        (or shards), or at the array's end.
    append_dim : int or str, optional
        The axis, by number or name, along which the array at the target becomes longer, once everything is written.
    align : "strict" or "read-write"
        With ``"read-write"``, a region may cut through chunks, and an array end within one: each of these chunks is
        read, filled in and written by one task.
    chunks, shards : tuple of int, or whatever ``rechunk`` takes, optional
        Of new arrays; by default the array's own chunks, and no shards. Each shard is written as a whole by one task,
        for which the array is rechunked as needed.
    compressors : codec, tuple of codecs, None or "auto", optional
        Codecs of ``zarr.codecs``, their names or mappings; None for none, ``"auto"`` for zstd with a checksum. By
        default what the spec says.
    filters : codec or tuple of codecs, optional
    fill_value : scalar, optional
        Zero by default. In format 2, xarray takes elements that equal it for missing ones.
    attributes : mapping, optional
        Values that JSON can hold.
    dimension_names : tuple of str or None, optional
        One for each axis.
    zarr_format : 2 or 3, optional
        By default that of the group around the target, or 3.
    overwrite : bool
        Whether arrays that are at targets may be replaced.
    storage_options : mapping, optional
        What stores are opened with; by default the spec's.

    Raises
    ------
    OptionError
        If there are not as many targets as arrays, one is named twice, or options do not fit an array or its target.
    WriteConflictError
        If a region cuts through chunks (or shards), and ``align`` does not allow it; the error names those nearest.
    ArrayNotFoundError
        If there is no array to write a region of, or to append to.
    """
    if isinstance(arrays, Array) or isinstance(targets, str | os.PathLike):
        raise OptionError("store takes lists: store([x], [place])")
    given = {
        "chunks": chunks,
        "shards": shards,
        "compressors": compressors,
        "filters": filters,
        "fill_value": fill_value,
        "attributes": attributes,
        "dimension_names": dimension_names,
        "zarr_format": zarr_format,
    }
    arrays = list(arrays)
    count = len(arrays)
    each = {name: one_for_each(value, count, name) for name, value in given.items()}
    return storing(
        arrays,
        targets,
        options=[TargetOptions(**{n: v[k] for n, v in each.items()}) for k in range(count)],
        regions=one_for_each(region, count, "region"),
        append_dims=one_for_each(append_dim, count, "append_dim"),
        aligns=one_for_each(align, count, "align"),
        overwrite=overwrite,
        storage_options=storage_options,
    )


def storing(
    arrays: Sequence[Array],
    targets: Sequence[Place],
    *,
    options: Sequence[TargetOptions],
    regions: Sequence[Any],
    append_dims: Sequence[Any],
    aligns: Sequence[Any],
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
) -> Computation:
    """Return what stores ``arrays`` at ``targets``, with options for each; see :func:`store`.

    Raises
    ------
    OptionError, WriteConflictError, ArrayNotFoundError
        As :func:`store` does.
    """
    nodes, spec = as_nodes(list(arrays), "store", own=True)
    places = list(targets)
    if len(nodes) != len(places):
        raise OptionError(
            f"{len(nodes)} arrays cannot be stored at {len(places)} targets: give one for each"
        )
    opened_with = storage_options if storage_options is not None else _options_of(spec)
    located = [locate(place, opened_with) for place in places]
    parts = map(StoredPart, regions, append_dims, aligns)
    compressor = (spec or Spec()).compressor
    results = tuple(
        requested(node, place, option, part, overwrite=overwrite, compressor=compressor)
        for node, place, option, part in zip(nodes, located, options, parts, strict=True)
    )
    _check_distinct(results)
    return Computation(results=results, spec=spec or Spec(), overwrite=overwrite)


def to_zarr(
    x: Array,
    /,
    place: Place,
    *,
    path: str = "",
    region: Any = None,
    append_dim: int | str | None = None,
    align: Align = "strict",
    chunks: Any = None,
    shards: Any = None,
    compressors: Any = OF_SPEC,
    filters: Any = None,
    fill_value: Any = None,
    attributes: Mapping[str, Any] | None = None,
    dimension_names: Sequence[str | None] | None = None,
    zarr_format: Literal[2, 3] | None = None,
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    **options: Any,
) -> None:
    """Compute ``x``, and store it as a Zarr array at ``place``; ``options`` as for :meth:`Array.compute`.

    The others are those of :func:`store`. In a coroutine of a service, which it would block, write
    ``await ax.execute(xp.store([x], [place]))`` instead.

    >>> xp.to_zarr(xp.ones((4, 4), chunks=(2, 4)), "ones.zarr")
    >>> xp.from_zarr("ones.zarr").chunks
    (2, 4)
    >>> xp.to_zarr(xp.zeros(4), "ones.zarr", overwrite=True, attributes={"units": "m"}, dimension_names=("x",))

    Raises
    ------
    TargetExistsError
        If there is an array already, and not ``overwrite``.
    OptionError, WriteConflictError, ArrayNotFoundError
        As :func:`store` does.
    """
    array = as_array(x, "to_zarr")
    chosen = storage_options if storage_options is not None else _options_of(array.own_spec)
    target = locate(place, chosen, path=path)
    target_options = TargetOptions(
        chunks=chunks,
        shards=shards,
        compressors=compressors,
        filters=filters,
        fill_value=fill_value,
        attributes=attributes,
        dimension_names=dimension_names,
        zarr_format=zarr_format,
    )
    run(
        storing(
            [array],
            [target],
            options=[target_options],
            regions=[region],
            append_dims=[append_dim],
            aligns=[align],
            overwrite=overwrite,
        ),
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
    nodes, spec = as_nodes(arrays, "compute", own=True)
    results = tuple(RequestedArray(node=node) for node in nodes)
    return Computation(results=results, spec=spec or Spec())


def plan_of(*arrays: Array) -> Plan:
    """Return one plan that computes several arrays; its value is the tuple of them.

    >>> x = xp.arange(6, chunks=2)
    >>> xp.plan_of(xp.sum(x), xp.mean(x)).tasks
    8
    """
    nodes, spec = as_nodes(arrays, "plan_of", own=True)
    results = tuple(RequestedArray(node=node) for node in nodes)
    return Computation(results=results, spec=spec or Spec()).to_plan()


def _options_of(spec: Spec | None) -> Mapping[str, Any] | None:
    return None if spec is None else spec.storage_options


def _check_distinct(results: Sequence[RequestedArray]) -> None:
    """Raise an OptionError where two arrays are stored at one place, unless they are parts that share no chunk."""
    taken, parts = Places(), list[PartOfTarget]()
    for result in results:
        place = result.place
        assert place is not None  # noqa: S101 - each has one
        part = None if result.array is None else result.array.part
        beside: list[PartOfTarget] = []
        if part is not None:
            beside = [each for each in parts if each.before == part.before]
            if any(each.appends or part.appends or each.meets(part) for each in beside):
                raise OptionError(
                    f"two parts of {place.spelling} are to be written by one plan, and both are appended, or have a "
                    f"chunk in common: write one after the other, or regions that are apart"
                )
            parts.append(part)
        other = None if beside else taken.find(place)
        if other is not None:
            raise OptionError(
                f"two arrays are to be stored at {other.spelling} and {place.spelling}, which is one place, or one "
                f"inside of the other: give each a place of its own"
            )
        if not beside:
            taken.add(place)
