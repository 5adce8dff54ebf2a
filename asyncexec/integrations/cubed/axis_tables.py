"""Tables of the chunks that are read along each axis, found by calling key functions.

Nothing is assumed that was not observed: an array whose reads are no product of axes gets no table, and an operation
that reads it waits for the whole array.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncexec.integrations.cubed.key_functions import Keys
    from asyncexec.plan.box import Index, Shape, Span

type Read = Callable[[Index], Keys]
type Line = Sequence[Keys]
"""The chunks that are read along one output axis, position by position."""


@dataclass(frozen=True, slots=True)
class AxisTable:
    """The chunks that are read along one axis of an array, by position on an axis of the output.

    Attributes
    ----------
    axis : int or None
        The output axis that it follows; None if it is the same for the whole output.
    spans : tuple of Span
        The chunk positions that are read, for each position on that axis (one entry where there is no such axis).
    """

    axis: int | None
    spans: tuple[Span, ...]

    def span(self, index: Index) -> Span:
        """Return the chunk positions that the task at ``index`` reads."""
        return self.spans[0 if self.axis is None else index[self.axis]]


type Tables = tuple[AxisTable, ...]


def tables_of(read: Read, shape: Shape) -> dict[str, Tables]:
    """Return the tables of every array that is read on lines through the output, one line per axis.

    They hold for every task if the key function is separable; otherwise see :func:`covers_all`.
    """
    if not all(shape):
        return {}
    origin: Index = (0,) * len(shape)
    lines: dict[Index, list[Line]] = {origin: _lines(read, shape, origin)}
    at_origin = read(origin)
    tables: dict[str, Tables] = {}
    for name, base in _bases(at_origin, lines[origin], origin).items():
        if base not in lines:
            lines[base] = _lines(read, shape, base)
        found = _fit(lines[base], name, read(base)[name])
        if found is not None:
            tables[name] = found
    return tables


def covers_all(read: Read, shape: Shape, tables: Mapping[str, Tables]) -> dict[str, Tables]:
    """Return those of ``tables`` that cover all that the tasks of ``shape`` read; calls the key function of each."""
    right = dict(tables)
    for index in product(*map(range, shape)):
        for name, keys in read(index).items():
            table = right.get(name)
            if table is not None and not _holds(table, index, keys):
                del right[name]
        if not right:
            break
    return right


def calls_for(shape: Shape) -> int:
    """Return about how many calls of the key function :func:`tables_of` makes."""
    return sum(shape) + 1


def _lines(read: Read, shape: Shape, base: Index) -> list[Line]:
    return [
        [read((*base[:axis], i, *base[axis + 1 :])) for i in range(n)]
        for axis, n in enumerate(shape)
    ]


def _bases(at_origin: Keys, lines: Sequence[Line], origin: Index) -> dict[str, Index]:
    """Return for each array the index of a task that reads it: the first task, if that does."""
    bases = dict.fromkeys((name for name, keys in at_origin.items() if keys), origin)
    for axis, line in enumerate(lines):
        for i, keys in enumerate(line):
            for name in keys:
                bases.setdefault(name, (*origin[:axis], i, *origin[axis + 1 :]))
    return bases


def _fit(lines: Sequence[Line], name: str, keys: Iterable[Index]) -> Tables | None:
    """Return the tables of one array; None if one of its axes follows two axes of the output."""
    constant = _projections(keys)
    tables = [AxisTable(None, (span,)) for span in constant]
    for axis, line in enumerate(lines):
        seen = [_projections(at.get(name, ())) for at in line]
        for p, at_base in enumerate(constant):
            if all(not spans or spans[p] == at_base for spans in seen):
                continue
            # It varies along two output axes: no product of axes.
            if tables[p].axis is not None:
                return None
            tables[p] = AxisTable(axis, tuple(spans[p] if spans else range(0) for spans in seen))
    return tuple(tables)


def _projections(keys: Iterable[Index]) -> list[Span]:
    """Return the positions on each axis; an empty list if nothing is read."""
    return [_span(set(positions)) for positions in zip(*keys, strict=True)]


def _span(positions: set[int]) -> Span:
    low, high = min(positions), max(positions)
    if high - low + 1 == len(positions):
        return range(low, high + 1)
    return tuple(sorted(positions))


def _holds(tables: Tables, index: Index, keys: Iterable[Index]) -> bool:
    spans = [table.span(index) for table in tables]
    return all(all(i in span for i, span in zip(key, spans, strict=True)) for key in keys)
