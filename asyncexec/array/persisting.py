"""Arrays that are computed once and stored, to go on with."""

from __future__ import annotations

import atexit
import contextlib
import os
import uuid
from collections.abc import Sequence
from functools import partial
from typing import Any

from asyncexec.array.array import Array
from asyncexec.array.blocking import run
from asyncexec.array.reading import from_zarr
from asyncexec.array.spec import Spec
from asyncexec.array.storing import store
from asyncexec.array.temporary_places import temporary_place
from asyncexec.array.wrapping import as_nodes
from asyncexec.errors import AsyncexecError, OptionError
from asyncexec.storage.places.locations import Location, locate
from asyncexec.storage.places.removal import remove


def persist(*arrays: Array, place: Any = None, **options: Any) -> tuple[Array, ...]:
    """Compute arrays by one plan, store them, and return arrays that read what is stored.

    >>> x = xp.arange(6, chunks=2)
    >>> squares, total = xp.persist(x * x, xp.sum(x))
    >>> squares.to_plan().tasks, total.compute()
    (3, array(15))

    Parameters
    ----------
    *arrays : Array
    place : path, URL or Zarr store, or a sequence of them, optional
        The place of the one array, or of each; what is stored there stays. Without it arrays are stored in the
        ``work_dir`` of their spec, or else in a directory for temporary files of this machine, and are removed when
        this process ends.
    **options
        As for :meth:`Array.compute`.

    Raises
    ------
    OptionError
        If there are not as many places as arrays, or arrays have different specs.
    TargetExistsError
        If there is an array already.
    RunningLoopError
        If the event loop of a service is running here.
    """
    _, spec = as_nodes(arrays, "persist")
    places = _given(place, len(arrays)) if place is not None else _temporary(len(arrays), spec)
    if not arrays:
        return ()
    run(
        store(arrays, places),
        options,
        called="xp.persist(x, y)",
        instead="await ax.execute(xp.store([x, y], places))",
    )
    return tuple(from_zarr(where, spec=spec) for where in places)


def _given(place: Any, count: int) -> list[Any]:
    several = isinstance(place, Sequence) and not isinstance(place, str | os.PathLike)
    places = list(place) if several else [place]
    if len(places) != count:
        raise OptionError(
            f"{count} arrays cannot be stored at {len(places)} places: give one for each"
        )
    return places


def _temporary(count: int, spec: Spec | None) -> list[Any]:
    """Return places that are removed when this process ends."""
    if spec is None or spec.work_dir is None:
        return [temporary_place() for _ in range(count)]
    base = locate(spec.work_dir, spec.storage_options)
    places = [base.join(f"persisted-{uuid.uuid4().hex}") for _ in range(count)]
    for each in places:
        atexit.register(partial(_remove_quietly, each))
    return places


def _remove_quietly(location: Location) -> None:
    # The store may be out of reach by then, or the directory be gone.
    with contextlib.suppress(AsyncexecError, OSError):
        remove(location)
