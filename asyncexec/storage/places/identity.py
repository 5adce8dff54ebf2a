"""One name for each place, however its path or URL is spelt and whichever store leads to it.

Places in object stores are named like the object's URL: by server, bucket and key. So an ``s3://`` URL, a store of
obstore's, a file system of fsspec's and the web address of one bucket have one name. Stores that are handed
in are asked; see ``held_names``.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING

from asyncexec.storage.places.held_names import held_name
from asyncexec.storage.places.url_names import inside, url_name

if TYPE_CHECKING:
    from asyncexec.storage.places.locations import Location


def identity(location: Location) -> str:
    """Return a name for the place, the same however it is spelt, within this process and as far as that is known."""
    if location.store is not None:
        return inside(held_name(location.store), location.url)
    path = location.local_path
    if path is not None:
        # Of links what they lead to, as one directory may have several names.
        return os.path.realpath(path)
    return url_name(location.url, location.options)


def overlaps(one: Location, other: Location) -> bool:
    """Return whether one of two places is the other one, inside of it or around it.

    Directories of this machine that can be reached by several paths (bind mounts, names in any case) are known by the
    system's number for each.
    """
    return Places([other]).find(one) is not None


def contains(outer: Location, inner: Location) -> bool:
    """Return whether ``inner`` is the place ``outer``, or inside of it."""
    return _way(outer)[0] in _way(inner)


class Places:
    """Places that are taken, for questions whether others overlap them.

    Parameters
    ----------
    locations : iterable of Location
    """

    def __init__(self, locations: Iterable[Location] = ()) -> None:
        self._at: dict[Hashable, Location] = {}
        self._below: dict[Hashable, Location] = {}
        for location in locations:
            self.add(location)

    def add(self, location: Location) -> None:
        """Take a place."""
        place, *around = _way(location)
        self._at.setdefault(place, location)
        for outer in around:
            self._below.setdefault(outer, location)

    def find(self, location: Location) -> Location | None:
        """Return a taken place that is ``location``, inside of it or around it; None without any."""
        way = _way(location)
        around = next((self._at[outer] for outer in way if outer in self._at), None)
        return around if around is not None else self._below.get(way[0])


def _way(location: Location) -> list[Hashable]:
    """Return a name of the place, and of each place around it from the nearest on."""
    name = identity(location)
    if name.startswith("/"):
        return _numbers(name)
    parts = name.split("/")
    return ["/".join(parts[:count]) for count in range(len(parts), 0, -1)]


def _numbers(path: str) -> list[Hashable]:
    """Return the system's number of each directory on the way to ``path``; of what is not there, also its names."""
    way = [path]
    while (above := os.path.dirname(way[-1])) != way[-1]:  # noqa: PTH120 - as text
        way.append(above)
    # By the system's numbers, which bind mounts and file systems without case do not change.
    numbers = [_number(directory) for directory in way]
    there = next((n for n, number in enumerate(numbers) if number is not None), len(way) - 1)
    names = [os.path.basename(directory) for directory in way[:there]]  # noqa: PTH119 - as text
    missing = [(numbers[there], *reversed(names[n:])) for n in range(there)]
    return [*missing, *((number,) for number in numbers[there:])]


def _number(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - as text
    except OSError:
        return None
    return status.st_dev, status.st_ino
