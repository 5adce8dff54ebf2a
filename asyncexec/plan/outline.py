"""Relations as plain data, for files: a history keeps the shape of the plan it is the history of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from itertools import groupby
from typing import TYPE_CHECKING, Any

from asyncexec.errors import RelationError
from asyncexec.plan.axes import AxisMap, Every, Fixed, Group, Listed, Same, Window
from asyncexec.plan.relations import All, Blockwise, Guarded, Opaque, Relation

if TYPE_CHECKING:
    from asyncexec.plan.box import Shape, Span

MOST_POSITIONS = 10_000
"""What has no closed form is listed position by position up to this length; beyond it becomes opaque."""

_MAPS: Mapping[str, type[Any]] = {
    kind.__name__.lower(): kind for kind in (Same, Window, Group, Fixed, Every)
}


def outline(relation: Relation) -> dict[str, Any]:
    """Return ``relation`` as numbers, texts, lists and dicts; :func:`relation_of` makes a relation of them again.

    A long list, or somebody else's own kind of relation, comes out as one that waits for everything.
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
        maps = tuple(_map_of(axis_map) for axis_map in outlined["maps"])
        return Blockwise(producer, consumer, axes, maps)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
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
    kind = type(axis_map).__name__.lower()
    if kind in _MAPS and type(axis_map) is _MAPS[kind]:
        # Not `asdict`, which copies deeply: these are numbers all.
        return {"kind": kind} | {f.name: getattr(axis_map, f.name) for f in fields(_MAPS[kind])}
    if consumer > MOST_POSITIONS:
        return None
    spans = [_runs(axis_map.reads(out)) for out in range(consumer)]
    return {"kind": "listed", "producer": producer, "spans": spans}


def _map_of(outlined: Mapping[str, Any]) -> AxisMap:
    given = dict(outlined)
    kind = given.pop("kind")
    if kind == "listed":
        return Listed(int(given["producer"]), tuple(_span(runs) for runs in given["spans"]))
    if kind not in _MAPS:
        raise RelationError(f"there is no map of an axis of the kind {kind!r}")
    made: AxisMap = _MAPS[kind](**{name: int(value) for name, value in given.items()})
    return made


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


def _shape(lengths: list[int]) -> Shape:
    return tuple(int(n) for n in lengths)
