"""Arrays as a plan stores them: new ones, parts of those that are there, and arrays in a session with versions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from asyncexec.array import build
from asyncexec.array.lowering import RequestedArray
from asyncexec.array.nodes import Node
from asyncexec.array.regions import Align, RegionLike, appended, check_align, region_of
from asyncexec.array.session_writes import SessionPlace
from asyncexec.array.target_options import TargetOptions
from asyncexec.errors import OptionError
from asyncexec.storage.chunks.array_traits import NO_TRAITS
from asyncexec.storage.chunks.arrays import StoredArray
from asyncexec.storage.places.creation import described
from asyncexec.storage.places.locations import Location
from asyncexec.storage.versions.sessions import in_session
from asyncexec.storage.workspace.packing import is_packed


@dataclass(frozen=True, slots=True)
class StoredPart:
    """The part of an array that is there already which is written, as users say it; all None for a new array."""

    region: RegionLike | None = None
    append_dim: int | str | None = None
    align: Align = "strict"

    @property
    def is_whole(self) -> bool:
        """True for a new array."""
        return self.region is None and self.append_dim is None

    @property
    def option(self) -> str:
        """The option that asks for it."""
        return "region" if self.region is not None else "append_dim"


def requested(
    node: Node,
    place: Location,
    options: TargetOptions,
    part: StoredPart,
    *,
    overwrite: bool,
    compressor: Any,
) -> RequestedArray:
    """Return ``node`` as a plan stores it at ``place``; ``compressor`` is that of the spec.

    Raises
    ------
    OptionError
        If options do not fit the array or the target, or each other.
    WriteConflictError
        If a part cuts through chunks (or shards) and may not.
    ArrayNotFoundError
        If there is no array of which a part is to be written.
    """
    check_align(part.align)
    if not part.is_whole:
        return _part(node, place, options, part, overwrite=overwrite)
    if part.align != "strict":
        raise OptionError("align is for region and append_dim: leave it out, or give one of them")
    if in_session(place) or options.zarr_format == 2:
        # Their chunks have one length along each axis.
        node = build.in_regular_chunks(node)
    array = options.array(node, place, compressor)
    if options.is_default and array.traits == NO_TRAITS:
        session = SessionPlace() if in_session(place) else None
        return RequestedArray(node=node, place=place, session=session)
    if not options.is_default:
        _check_described(array)
    # Each chunk or shard is written as a whole, by one task.
    arranged = build.with_chunks(node, array.unit)
    session = SessionPlace(planned=array) if in_session(place) else None
    return RequestedArray(node=arranged, place=place, session=session, array=array)


def _part(
    node: Node, place: Location, options: TargetOptions, part: StoredPart, *, overwrite: bool
) -> RequestedArray:
    asked = [*options.given, *(["overwrite"] if overwrite else [])]
    if asked:
        raise OptionError(
            f"{', '.join(asked)}: with {part.option}, what is written is part of an array that is there already, and "
            f"stored as that is: leave {'it' if len(asked) == 1 else 'them'} out"
        )
    if part.region is not None and part.append_dim is not None:
        raise OptionError("region and append_dim: give one of them")
    if in_session(place):
        raise OptionError(
            f"{part.option} is not for arrays in an Icechunk session: use store_icechunk(x, array, session, "
            f"regions=...), after resizing the array to append to it"
        )
    if is_packed(place):
        raise OptionError(
            f"{part.option}: nothing in a zip file is replaced, so that no part of {place} is written. Store elsewhere"
        )
    if part.region is not None:
        written, array = region_of(node, place, part.region, part.align)
    else:
        assert part.append_dim is not None  # noqa: S101 - one of the two is given
        written, array = appended(node, place, part.append_dim, part.align)
    return RequestedArray(node=written, place=place, array=array)


def _check_described(array: StoredArray) -> None:
    """Raise an OptionError where Zarr cannot make ``array``, such as for a codec that it does not know."""
    wanted = array.traits.zarr_format
    described(array if wanted is None else array.in_format(wanted))
