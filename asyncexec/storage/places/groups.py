"""The groups around an array that is to be created, so that readers of a group find it there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from asyncexec.errors import OptionError, StorageError, TargetExistsError
from asyncexec.storage.places.errors import storage_error
from asyncexec.storage.places.exclusive import create_file
from asyncexec.storage.places.metadata import documents, is_array, is_group
from asyncexec.storage.places.objects import objects_at
from asyncexec.storage.places.urls import split_query

if TYPE_CHECKING:
    from asyncexec.storage.places.locations import Location

type Lookup = Callable[[Location], Mapping[str, bytes]]
"""Returns the metadata files at a place."""

_NOT_LISTED = ("http", "https")
"""The schemes of URLs above which nothing is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """The groups around a place, from the outermost to the innermost.

    Attributes
    ----------
    groups : tuple of Location
        Those that are there.
    missing : tuple of Location
        Those that are to be made.
    zarr_format : int
        The format of the nearest group; 3 where there is none.
    """

    groups: tuple[Location, ...] = ()
    missing: tuple[Location, ...] = ()
    zarr_format: int = 3

    @property
    def is_grouped(self) -> bool:
        """True for a place that is in a group, or will be."""
        return bool(self.groups or self.missing)

    def in_format(self, zarr_format: int | None) -> Surroundings:
        """Return the same for an array of which this format is asked; None for that of the groups.

        Raises
        ------
        OptionError
            If the groups that are there have another.
        """
        if zarr_format is None or zarr_format == self.zarr_format:
            return self
        if self.groups:
            raise OptionError(
                f"zarr_format={zarr_format} cannot be in {self.groups[-1]}, a group of format {self.zarr_format}: "
                f"leave it out, or store elsewhere"
            )
        return replace(self, zarr_format=zarr_format)


def surroundings(location: Location, lookup: Lookup = documents) -> Surroundings:
    """Return the groups around ``location``.

    Between a group that is there and the place, every level is a group, and so is every level that the caller has named
    as a path in a store.

    Raises
    ------
    TargetExistsError
        If the place is inside of an array.
    """
    groups: list[Location] = []
    missing: list[Location] = []
    between: list[Location] = []
    zarr_format = 0
    for parent, inner in _parents(location):
        found = _found(parent, lookup, inner=inner)
        if is_array(found):
            raise TargetExistsError(
                f"{location} is inside of the Zarr array {parent}, where nothing else can be. Store elsewhere"
            )
        if is_group(found):
            zarr_format = zarr_format or (3 if "zarr.json" in found else 2)
            groups.append(parent)
            # Only now, as below a group that is there every level must be one.
            missing += between
            between.clear()
        elif inner:
            missing.append(parent)
        else:
            between.append(parent)
    return Surroundings(
        groups=tuple(reversed(groups)),
        missing=tuple(sorted(missing, key=lambda place: len(place.url))),
        zarr_format=zarr_format or 3,
    )


def places_above(location: Location) -> list[Location]:
    """Return the places at which :func:`surroundings` looks for groups."""
    return [parent for parent, _ in _parents(location)]


def make_group(location: Location, zarr_format: int) -> bool:
    """Create a group at ``location``; return whether there was none.

    Raises
    ------
    TargetExistsError
        If there is an array by now.
    StorageError
        If the place cannot be written.
    """
    name, document = _NEW[zarr_format]
    try:
        made = create_file(location, name, document)
    except Exception as error:  # noqa: BLE001 - as the store puts it
        raise storage_error(error, location, "cannot be made a group") from None
    if not made and is_array(documents(location)):
        raise TargetExistsError(f"{location} is an array by now, made by another run")
    return made


def remove_group(location: Location, zarr_format: int) -> None:
    """Remove the group at ``location``, if it has nothing in it and nothing was done to it."""
    name, document = _NEW[zarr_format]
    path = location.local_path
    if path is None:
        objects = objects_at(location)
        # As it was made: a user who has changed its attributes wants to keep it.
        if list(objects.names()) == [name] and objects.get(name) == document:
            objects.remove(name)
        return
    with suppress(OSError):
        if [p.name for p in path.iterdir()] == [name] and (path / name).read_bytes() == document:
            (path / name).unlink()
            path.rmdir()


_NEW = {
    2: (".zgroup", json.dumps({"zarr_format": 2}, indent=2).encode()),
    3: (
        "zarr.json",
        json.dumps({"attributes": {}, "zarr_format": 3, "node_type": "group"}, indent=2).encode(),
    ),
}


def _found(place: Location, lookup: Lookup, *, inner: bool) -> Mapping[str, bytes]:
    try:
        return lookup(place)
    except StorageError:
        # What is above may be nobody's to read: then it is no group of this user's.
        if inner:
            raise
        return {}


def _parents(location: Location) -> Iterator[tuple[Location, bool]]:
    """Yield the places around ``location``, the nearest first, and whether each is in what the caller has named."""
    depth = len(location.inner.split("/")) if location.inner else 0
    for above, url in enumerate(_above(location), 1):
        yield replace(location, url=url, inner=""), above <= depth


def _above(location: Location) -> Iterator[str]:
    path = location.local_path
    if path is not None:
        yield from (str(parent) for parent in Path(path).parents)
        return
    base, query = split_query(location.url) if location.store is None else (location.url, "")
    scheme, separator, rest = base.rpartition("://")
    parts = rest.rstrip("/").split("/") if rest else []
    least = 1 if separator else 0
    deepest = location.inner.count("/") + 1 if location.inner else 0
    for count in range(len(parts) - 1, least - 1, -1):
        if len(parts) - count > deepest and ("::" in scheme or scheme in _NOT_LISTED):
            return
        yield f"{scheme}{separator}{'/'.join(parts[:count])}{query}"
