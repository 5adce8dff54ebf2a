"""Drawings of an array and its chunks, as SVG that needs nothing else and is readable on light and dark pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from asyncexec.plan.box import Shape
from asyncexec.plan.lengths import block_start, count_blocks

LONGEST = 140.0
"""Length of the longest axis, in pixels."""

SHORTEST = 16.0
MOST_PIECES = 16
"""Pieces that an axis is drawn in at most, however many chunks there are."""

_SLANT = 0.45
_MARGIN = 8.0
_LETTER = 7.0
_LINE = 14.0

type Point = tuple[float, float]


def drawing_of(shape: Shape, chunks: Shape) -> str:
    """Return a drawing of an array: a bar, a rectangle or a box with lines between chunks.

    Of more than three axes, the last three are drawn. There is none of an array without axes or elements.
    """
    if not shape or 0 in shape:
        return ""
    shown, lengths = shape[-3:], chunks[-3:]
    longest = max(shown)
    sides = [max(SHORTEST, LONGEST * n / longest) for n in shown]
    cuts = [_cuts(n, c, side) for n, c, side in zip(shown, lengths, sides, strict=True)]
    if len(shown) == 1:
        return _flat([0.0, SHORTEST * 1.5], cuts[0], ("", f"{shown[0]:,}"))
    if len(shown) == 2:
        return _flat(cuts[0], cuts[1], (f"{shown[0]:,}", f"{shown[1]:,}"))
    return _box(cuts, [f"{n:,}" for n in shown])


def _cuts(n: int, chunk: int, side: float) -> list[float]:
    """Return the places of the lines along an axis: its ends, and those between chunks, or fewer at equal distances."""
    count = count_blocks(n, chunk)
    if count > MOST_PIECES:
        return [side * k / MOST_PIECES for k in range(MOST_PIECES + 1)]
    return [side * min(block_start(chunk, k), n) / n for k in range(count + 1)]


def _flat(rows: Sequence[float], columns: Sequence[float], labels: tuple[str, str]) -> str:
    height, width = rows[-1], columns[-1]
    parts = [
        _face([(0, 0), (width, 0), (width, height), (0, height)], 0.22),
        *_grid(rows, columns, lambda y, x: (x, y)),
        _text((width / 2, height + _LINE), labels[1], "middle"),
        _text((width + _MARGIN, height / 2 + 4), labels[0], "start"),
    ]
    return _svg(parts, width + 2 * _MARGIN + _LETTER * len(labels[0]), height + 1.5 * _LINE)


def _box(cuts: Sequence[Sequence[float]], labels: Sequence[str]) -> str:
    depth, height, width = (along[-1] for along in cuts)
    over, up = depth * _SLANT, depth * _SLANT

    def front(y: float, x: float) -> Point:
        return x, y + up

    def top(z: float, x: float) -> Point:
        return x + z * _SLANT, up - z * _SLANT

    def side(y: float, z: float) -> Point:
        return width + z * _SLANT, y + up - z * _SLANT

    faces = [
        ([front(0, 0), front(0, width), front(height, width), front(height, 0)], 0.22),
        ([top(0, 0), top(0, width), top(depth, width), top(depth, 0)], 0.12),
        ([side(0, 0), side(0, depth), side(height, depth), side(height, 0)], 0.32),
    ]
    parts = [
        *(_face(corners, opacity) for corners, opacity in faces),
        *_grid(cuts[1], cuts[2], front),
        *_grid(cuts[0], cuts[2], top),
        *_grid(cuts[1], cuts[0], side),
        _text((width / 2, height + up + _LINE), labels[2], "middle"),
        _text((width + over + _MARGIN, height / 2 + 4), labels[1], "start"),
        _text((width + over / 2 + _MARGIN, height + up - over / 2 + _LINE), labels[0], "start"),
    ]
    wide = max(map(len, labels)) * _LETTER
    return _svg(parts, width + over + 2 * _MARGIN + wide, height + up + 1.5 * _LINE)


def _grid(
    first: Sequence[float], second: Sequence[float], place: Callable[[float, float], Point]
) -> Iterator[str]:
    """Iterate over the lines of a face; ends are drawn stronger than what is between chunks."""
    for lines, across, turned in ((first, second, False), (second, first, True)):
        for number, at in enumerate(lines):
            ends = (
                (place(across[0], at), place(across[-1], at))
                if turned
                else (place(at, across[0]), place(at, across[-1]))
            )
            yield _line(*ends, strong=number in (0, len(lines) - 1))


def _line(start: Point, end: Point, *, strong: bool) -> str:
    (x1, y1), (x2, y2) = start, end
    look = 'stroke-opacity="0.9"' if strong else 'stroke-opacity="0.45"'
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" {look}/>'


def _face(corners: Sequence[Point], opacity: float) -> str:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
    return f'<polygon points="{points}" fill="#3b82f6" fill-opacity="{opacity}" stroke="none"/>'


def _text(place: Point, text: str, anchor: str) -> str:
    x, y = place
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="currentColor" stroke="none" '
        f'font-size="11" font-family="sans-serif">{text}</text>'
        if text
        else ""
    )


def _svg(parts: Sequence[str], width: float, height: float) -> str:
    across, down = width + 2, height + 2
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{across:.0f}" height="{down:.0f}" '
        f'viewBox="-1 -1 {across:.0f} {down:.0f}" stroke="currentColor" stroke-width="1" role="img">'
        f"<title>chunks</title>{''.join(parts)}</svg>"
    )
