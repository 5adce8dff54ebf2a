"""A plan as a picture, in SVG or as Graphviz source, made without any external program."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from asyncexec.errors import OptionError
from asyncexec.plan.text import relation_name

if TYPE_CHECKING:
    from asyncexec.plan.plan import Plan


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture of a plan; notebooks show it."""

    svg: str

    def _repr_svg_(self) -> str:
        return self.svg


def draw(plan: Plan, path: str | Path | None = None) -> Drawing:
    """Return ``plan`` as a picture, and write it to ``path`` (``.svg``, ``.dot`` or ``.gv``) where given.

    Raises
    ------
    OptionError
        If the file's suffix is none of these.
    """
    drawing = Drawing(_svg(plan))
    if path is not None:
        path = Path(path)
        writers = {".svg": lambda: drawing.svg, ".dot": lambda: dot(plan), ".gv": lambda: dot(plan)}
        if path.suffix not in writers:
            raise OptionError(
                f"a plan cannot be drawn as {path.suffix!r}: choose one of {', '.join(writers)}"
            )
        path.write_text(writers[path.suffix](), encoding="utf-8")
    return drawing


def dot(plan: Plan) -> str:
    """Return ``plan`` as Graphviz source."""
    lines = [f"digraph {_quoted(plan.name)} {{", "  rankdir=LR; node [shape=box, style=rounded];"]
    for stage in plan.stages:
        lines.append(f"  {_quoted(stage.name)};")
        lines += [
            f"  {_quoted(r.stage)} -> {_quoted(stage.name)} [label={_quoted(relation_name(r))}];"
            for r in stage.reads
        ]
    return "\n".join([*lines, "}", ""])


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _svg(plan: Plan) -> str:
    rows = "".join(
        f'<text x="10" y="{20 * (n + 1)}">{escape(stage.name)}: {stage.tasks} tasks</text>'
        for n, stage in enumerate(plan.stages)
    )
    height = 20 * (len(plan.stages) + 1)
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="600" height="{height}">{rows}</svg>\n'
