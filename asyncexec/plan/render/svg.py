"""A plan as an SVG picture: stages as boxes, their reads as lines, producers on top."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING

from asyncexec.plan.memory import format_bytes
from asyncexec.plan.render.diagram_layout import Layout, Point, layered
from asyncexec.plan.render.text import (
    items_text,
    output_text,
    reading_text,
    shape_text,
    summary,
    tasks_text,
)

if TYPE_CHECKING:
    from asyncexec.plan.stage import Stage, Stages

_FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', Helvetica, Arial, sans-serif"
# Selectors begin with the picture's own class, because a notebook shares its page between pictures.
_STYLE = f"""
.asyncexec-plan text {{ font: 12px {_FONT}; fill: #52606d; }}
.asyncexec-plan .title {{ font-size: 17px; font-weight: 600; fill: #1f2933; }}
.asyncexec-plan .name {{ font-size: 13px; font-weight: 600; fill: #1f2933; }}
.asyncexec-plan .how {{ font-size: 11px; paint-order: stroke; stroke: #ffffff; stroke-width: 4px; }}
.asyncexec-plan .chunks {{ fill: #e8f1fb; stroke: #5b8fc7; }}
.asyncexec-plan .values {{ fill: #eaf6ec; stroke: #5fa36a; }}
.asyncexec-plan .line {{ fill: none; stroke: #9aa5b1; stroke-width: 1.4px; }}
.asyncexec-plan .barrier {{ stroke-dasharray: 5 4; }}
.asyncexec-plan .room {{ fill: #d5dde5; }}
.asyncexec-plan .used {{ fill: #5b8fc7; }}
.asyncexec-plan .tight {{ fill: #d9822b; }}
"""
_SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" class="asyncexec-plan" role="img" '
    'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}">'
)
_TIP = (
    '<defs><marker id="asyncexec-tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
    'markerHeight="8" orient="auto"><path d="M0,0.5 L8,4 L0,7.5 z" fill="#9aa5b1"/></marker></defs>'
)
_MARGIN, _HEADER, _FOOTER = 24.0, 64.0, 40.0
_BETWEEN_LAYERS = 64.0
_LINE_HEIGHT, _PADDING = 17.0, 12.0
# Wide enough for most fonts: boxes are measured without drawing them.
_CHARACTER = 6.7
_LONGEST = 44
_TIGHT = 0.9
_LEGEND = (("chunks", "writes chunks"), ("values", "puts out values"))


def svg(plan: Stages) -> str:
    """Return ``plan`` as an SVG document."""
    texts = {stage.name: _texts(stage) for stage in plan.stages}
    layout = layered(
        {name: _size(lines) for name, lines in texts.items()},
        list(dict.fromkeys((r.stage, s.name) for s in plan.stages for r in s.reads)),
        between_layers=_BETWEEN_LAYERS,
    )
    title = summary(plan)
    width = 2 * _MARGIN + max(layout.width, _CHARACTER * len(title), 460.0)
    height = _HEADER + layout.height + _FOOTER + _MARGIN
    shift = (width - layout.width) / 2
    parts = [
        _SVG.format(width=width, height=height),
        f"<title>Plan {escape(plan.name)}</title>",
        f"<style>{_STYLE}</style>",
        _TIP,
        f'<rect width="{width:.0f}" height="{height:.0f}" rx="10" fill="#ffffff"/>',
        f'<text class="title" x="{_MARGIN}" y="34">{escape(plan.name)}</text>',
        f'<text x="{_MARGIN}" y="53">{escape(title)}</text>',
        f'<g transform="translate({shift:.1f},{_HEADER + 8})">',
        *_lines(plan, layout),
        *(_box(stage, texts[stage.name], layout.centres[stage.name]) for stage in plan.stages),
        "</g>",
        *_legend(height - _MARGIN),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _texts(stage: Stage) -> list[str]:
    """Return the lines of text in the stage's box; the first is its name."""
    tasks = tasks_text(stage)
    if tasks[0].isdigit():
        tasks += " task" + ("" if stage.tasks == 1 else "s")
    if len(stage.shape) > 1 and stage.tasks:
        tasks += f" ({shape_text(stage.shape)})"
    operation = "" if stage.operation in ("", stage.name) else f"{stage.operation} · "
    lines = [_cut(stage.name), _cut(operation + tasks)]
    lines += [items_text(given) for given in stage.items]
    if stage.outputs:
        blocks = ", ".join(dict.fromkeys(map(output_text, stage.outputs)))
        lines.append(_cut(f"writes {format_bytes(stage.write_bytes)} in blocks of {blocks}"))
    memory = stage.memory
    if memory.projected_bytes:
        allowed = memory.allowed_bytes
        of = "" if allowed is None else f" of {format_bytes(allowed)}"
        lines.append(f"{format_bytes(memory.projected_bytes)}{of} memory")
    return lines


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _size(lines: Sequence[str]) -> tuple[float, float]:
    width = max(_CHARACTER * len(line) for line in lines) * 1.04 + 2 * _PADDING
    return max(width, 120.0), len(lines) * _LINE_HEIGHT + 2 * _PADDING - 2


def _box(stage: Stage, lines: Sequence[str], centre: Point) -> str:
    width, height = _size(lines)
    left, top = centre[0] - width / 2, centre[1] - height / 2
    kind = "values" if stage.holds_values else "chunks"
    baseline = top + _PADDING + 10
    texts = "".join(
        f'<text x="{centre[0]:.1f}" y="{baseline + i * _LINE_HEIGHT:.1f}" text-anchor="middle"'
        f"{' class="name"' if i == 0 else ''}>{escape(line)}</text>"
        for i, line in enumerate(lines)
    )
    return (
        f"<g><title>{escape(stage.name)}</title>"
        f'<rect class="{kind}" x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" rx="8"/>'
        f"{texts}{_memory_bar(stage, left + _PADDING, top + height - 7, width - 2 * _PADDING)}</g>"
    )


def _memory_bar(stage: Stage, left: float, top: float, width: float) -> str:
    """Return a bar of the projected share of the allowed memory of a task."""
    memory = stage.memory
    if not memory.projected_bytes or not memory.allowed_bytes:
        return ""
    used = memory.projected_bytes / memory.allowed_bytes
    bar = f'x="{left:.1f}" y="{top:.1f}" height="3" rx="1.5"'
    kind = "tight" if used > _TIGHT else "used"
    return (
        f'<rect class="room" {bar} width="{width:.1f}"/>'
        f'<rect class="{kind}" {bar} width="{width * used:.1f}"/>'
    )


def _lines(plan: Stages, layout: Layout) -> Iterator[str]:
    """Yield the lines, then their labels, so that no line is drawn over a label."""
    labels: list[str] = []
    for stage in plan.stages:
        by_producer: dict[str, list[str]] = {}
        barriers: set[str] = set()
        for read in stage.reads:
            by_producer.setdefault(read.stage, []).append(reading_text(read))
            if read.relation.barrier:
                barriers.add(read.stage)
        for producer, words in by_producer.items():
            points = layout.routes[producer, stage.name]
            kind = "line barrier" if producer in barriers else "line"
            yield f'<path class="{kind}" d="{_curve(points)}" marker-end="url(#asyncexec-tip)"/>'
            labels.append(_label(points, ", ".join(dict.fromkeys(words))))
    yield from labels


def _curve(points: Sequence[Point]) -> str:
    """Return a path that leaves and reaches every point vertically."""
    path = [f"M{points[0][0]:.1f},{points[0][1]:.1f}"]
    for (x0, y0), (x1, y1) in pairwise(points):
        middle = (y0 + y1) / 2
        path.append(f"C{x0:.1f},{middle:.1f} {x1:.1f},{middle:.1f} {x1:.1f},{y1:.1f}")
    return " ".join(path)


def _label(points: Sequence[Point], text: str) -> str:
    """Return a label where the line comes down to its reader, before it joins others."""
    (x0, y0), (x1, y1) = points[-2:]
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    return (
        f'<text class="how" x="{x:.1f}" y="{y + 4:.1f}" text-anchor="middle">{escape(text)}</text>'
    )


def _legend(bottom: float) -> Iterator[str]:
    x = _MARGIN
    for kind, text in _LEGEND:
        yield f'<rect class="{kind}" x="{x:.1f}" y="{bottom - 11:.1f}" width="16" height="12" rx="3"/>'
        yield f'<text x="{x + 23:.1f}" y="{bottom:.1f}">{text}</text>'
        x += 23 + _CHARACTER * len(text) + 24
    yield f'<path class="line barrier" d="M{x:.1f},{bottom - 4:.1f} h26"/>'
    yield f'<text x="{x + 33:.1f}" y="{bottom:.1f}">waits for all of it</text>'
