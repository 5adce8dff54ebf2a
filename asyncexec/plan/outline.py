"""Relations as plain data, for files: a history has the relations of the plan that was run."""

from __future__ import annotations

import base64
import binascii
import sys
import zlib
from array import array
from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate, groupby, islice
from typing import TYPE_CHECKING, Any

from asyncexec.errors import RelationError
from asyncexec.plan.access import AxisAccess
from asyncexec.plan.axes import (
    AxisMap,
    BlockAccess,
    Listed,
    block_groups,
    every_block,
    one_block,
    same_blocks,
    windowed,
)
from asyncexec.plan.overlap import Overlap
from asyncexec.plan.relations import All, Blockwise, Guarded, Opaque, Relation

if TYPE_CHECKING:
    from asyncexec.plan.box import Shape, Span

MOST_LISTED = 1_000
"""Lists of up to this many positions, or ranges of them, are written as numbers; longer ones are packed."""

MOST_PACKED_BYTES = 1024 * 1024
"""A list that takes more than this when it is packed is left out: the relation becomes opaque."""


def outline(relation: Relation) -> dict[str, Any]:
    """Return ``relation`` as numbers, texts, lists and dicts; :func:`relation_of` is the inverse.

    A relation in closed form takes a few numbers, however many tasks there are. A very long list without order, or a
    relation of a class of the user's own, becomes one that waits for everything.
    """
    ends: dict[str, Any] = {
        "producer": list(relation.producer),
        "consumer": list(relation.consumer),
    }
    if isinstance(relation, Guarded):
        inner = outline(relation.inner)
        if inner["kind"] == "blockwise":
            return {
                "kind": "guarded",
                "inner": inner,
                "within": [_runs(s) for s in relation.within],
            }
    if isinstance(relation, Blockwise):
        maps = [
            _outlined(axis_map, n, 1 if axis is None else relation.consumer[axis])
            for n, axis, axis_map in zip(
                relation.producer, relation.axes, relation.maps, strict=True
            )
        ]
        if all(maps):
            return {"kind": "blockwise", **ends, "axes": list(relation.axes), "maps": maps}
    return {"kind": "all" if isinstance(relation, All) else "opaque", **ends}


def relation_of(outlined: Mapping[str, Any]) -> Relation:
    """Return the relation that was outlined.

    Raises
    ------
    RelationError
        If this is not what :func:`outline` returns.
    """
    try:
        kind = outlined["kind"]
        if kind == "guarded":
            return _guarded(outlined)
        producer, consumer = _shape(outlined["producer"]), _shape(outlined["consumer"])
        if kind in ("all", "opaque"):
            return (All if kind == "all" else Opaque)(producer, consumer)
        if kind != "blockwise":
            raise RelationError(f"there is no relation of the kind {kind!r}")
        axes = tuple(None if axis is None else int(axis) for axis in outlined["axes"])
        maps = tuple(map(_map_of, outlined["maps"], producer))
        return Blockwise(producer, consumer, axes, maps)
    except (KeyError, TypeError, ValueError, AttributeError, zlib.error) as error:
        if isinstance(error, RelationError):
            raise
        raise RelationError(
            f"{outlined!r} does not describe a relation: {type(error).__name__}: {error}"
        ) from error


def _guarded(outlined: Mapping[str, Any]) -> Guarded:
    inner = relation_of(outlined["inner"])
    if not isinstance(inner, Blockwise) or len(outlined["within"]) != len(inner.consumer):
        raise RelationError(f"{outlined!r} does not describe a relation within a box")
    return Guarded(inner, tuple(_span(runs) for runs in outlined["within"]))


def _outlined(axis_map: AxisMap, producer: int, consumer: int) -> dict[str, Any] | None:
    """Return a map between axes of these lengths as plain data; None where that would be too long."""
    if isinstance(axis_map, BlockAccess) and not axis_map.uneven:
        access = axis_map.access
        numbers = {
            "kind": "access",
            "extent": axis_map.extent,
            "chunk": axis_map.chunk,
            "consumer": axis_map.consumer,
            "block": access.block,
            "lo": access.lo,
            "hi": access.hi,
            "step": access.step,
            "offset": access.offset,
        }
        if access.via is None:
            return numbers
        if isinstance(access.via, Overlap):
            around = access.via
            return numbers | {"overlap": [around.before, around.after, around.lo, around.hi]}
    spans = [axis_map.reads(out) for out in range(consumer)]
    if consumer <= MOST_LISTED:
        runs = [_runs(span) for span in spans]
        if sum(map(len, runs)) <= MOST_LISTED:
            return {"kind": "listed", "producer": producer, "spans": runs}
    return _packed(producer, spans)


def _packed(producer: int, spans: list[Span]) -> dict[str, Any] | None:
    counts = _pack(map(len, spans))
    # Differences compress better than positions: between neighbours they are all 1.
    steps = (b - a for span in spans for a, b in zip((0, *span), span, strict=False))
    blocks = _pack(steps)
    if len(counts) + len(blocks) > MOST_PACKED_BYTES:
        return None
    return {"kind": "packed", "producer": producer, "counts": counts, "steps": blocks}


def _map_of(outlined: Mapping[str, Any], producer: int) -> AxisMap:
    given = dict(outlined)
    kind = given.pop("kind")
    if kind == "listed":
        return Listed(int(given["producer"]), tuple(_span(runs) for runs in given["spans"]))
    if kind == "packed":
        return Listed(int(given["producer"]), _unpacked(given["counts"], given["steps"]))
    overlap = given.pop("overlap", None)
    numbers = {name: int(value) for name, value in given.items()}
    if kind == "access":
        around = None if overlap is None else Overlap(*map(int, overlap))
        block = {name: numbers.pop(name) for name in ("extent", "chunk", "consumer")}
        return BlockAccess(AxisAccess(0, **numbers, via=around), **block)
    if kind == "fixed":
        return one_block(numbers["at"], producer, numbers.get("consumer", 1))
    if kind not in _OLDER:
        raise RelationError(f"there is no map of an axis of the kind {kind!r}")
    return _OLDER[kind](**numbers)


# The kinds of maps in files of earlier versions.
_OLDER: Mapping[str, Callable[..., AxisMap]] = {
    "same": same_blocks,
    "window": windowed,
    "group": block_groups,
    "every": every_block,
}


def _runs(span: Span) -> list[list[int]]:
    """Return a span as runs ``[start, stop]``."""
    if isinstance(span, range):
        return [[span.start, span.stop]] if span else []
    runs = [
        [position for _, position in run]
        for _, run in groupby(enumerate(span), lambda pair: pair[1] - pair[0])
    ]
    return [[run[0], run[-1] + 1] for run in runs]


def _span(runs: list[list[int]]) -> Span:
    if len(runs) == 1:
        return range(int(runs[0][0]), int(runs[0][1]))
    return tuple(position for start, stop in runs for position in range(int(start), int(stop)))


def _pack(numbers: Iterable[int]) -> str:
    """Return ``numbers`` as text: 64 bits each, little-endian, compressed."""
    data = array("q", numbers)
    if sys.byteorder == "big":
        data.byteswap()
    return base64.b64encode(zlib.compress(data.tobytes())).decode()


def _unpack(text: str) -> array[int]:
    data = array("q")
    try:
        data.frombytes(zlib.decompress(base64.b64decode(text, validate=True)))
    except binascii.Error as error:
        raise ValueError(f"a packed list that cannot be decoded: {error}") from error
    if sys.byteorder == "big":
        data.byteswap()
    return data


def _unpacked(counts: str, steps: str) -> tuple[Span, ...]:
    lengths, differences = _unpack(counts), iter(_unpack(steps))
    spans: list[Span] = []
    for length in lengths:
        span = list(accumulate(islice(differences, length)))
        whole = length > 0 and span[-1] - span[0] + 1 == length
        spans.append(range(span[0], span[-1] + 1) if whole else tuple(span))
    return tuple(spans)


def _shape(lengths: list[int]) -> Shape:
    return tuple(int(n) for n in lengths)
