"""The entries of targets in the groups around them: made when they are complete, taken out when they are removed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from asyncexec.storage.places.concurrently import for_each
from asyncexec.storage.places.consolidated import announce, is_consolidated, node_files, withdraw
from asyncexec.storage.places.groups import remove_group
from asyncexec.storage.places.metadata import exists
from asyncexec.storage.places.urls import split_query

if TYPE_CHECKING:
    from asyncexec.storage.places.locations import Location
    from asyncexec.storage.workspace.target import Target


def listed_in(targets: Iterable[Target], groups: Iterable[Location]) -> list[Location]:
    """Return the groups with consolidated metadata around ``targets``, and around the ``groups`` made for them.

    Raises
    ------
    StorageError
        If these cannot be read.
    """
    around = list(_by_group(targets, groups))
    found = for_each(is_consolidated, around)
    return [group for group, listed in zip(around, found, strict=True) if listed]


def announce_all(
    targets: Iterable[Target], groups: Iterable[Location], among: Iterable[Location]
) -> None:
    """Enter ``targets``, and the ``groups`` made around them, in the consolidated metadata of the groups above.

    Those with such metadata are ``among`` (of :func:`listed_in`).

    Raises
    ------
    StorageError
        If these cannot be read or written.
    """
    consolidated = set(among)
    for group, places in _by_group(targets, groups).items():
        if group in consolidated:
            announce(group, {path: node_files(place) for path, place in places.items()})


def withdraw_all(targets: Sequence[Target], groups: Sequence[Location]) -> None:
    """Take ``targets`` that are gone, and ``groups`` that are empty then, out of the groups above."""
    formats = {target.around.zarr_format for target in targets}
    # The innermost first: a group is empty only when those in it are gone.
    for group in sorted(groups, key=lambda place: -len(place.url)):
        for zarr_format in formats:
            remove_group(group, zarr_format)
    for group, places in _by_group(targets, groups).items():
        # Looked for, as an array that this run was to replace is there still.
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
            for place in [*made, target.place]:
                path = path_in(group, place)
                if path:
                    found.setdefault(group, {})[path] = place
    return found


def path_in(group: Location, place: Location) -> str:
    """Return the path of ``place`` in ``group``; empty where it is elsewhere."""
    above, below = (split_query(str(p.local_path or p.url))[0].rstrip("/") for p in (group, place))
    prefix = f"{above}/" if above else ""
    return below.removeprefix(prefix) if below.startswith(prefix) and below != above else ""
