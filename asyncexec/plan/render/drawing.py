"""Pictures of plans for notebooks and files, made without an external program."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from asyncexec.errors import OptionError
from asyncexec.plan.render.svg import svg
from asyncexec.plan.render.text import reading_text, tasks_text

if TYPE_CHECKING:
    from asyncexec.plan.stage import Stage, Stages


@dataclass(frozen=True, slots=True, repr=False)
class Drawing:
    """A picture of a plan; notebooks show it, and ``.svg`` is its source."""

    name: str
    svg: str

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"<Drawing of plan {self.name!r}>"


def draw(plan: Stages, path: str | Path | None = None) -> Drawing:
    """Return ``plan`` as a picture, and write it to ``path`` where given.

    Parameters
    ----------
    path : str or Path, optional
        A file, written in the format of its suffix: ``.svg``, or ``.dot`` or ``.gv`` for Graphviz source.

    Raises
    ------
    OptionError
        If the suffix is another.
    """
    drawing = Drawing(plan.name, svg(plan))
    if path is None:
        return drawing
    path = Path(path)
    match path.suffix.lower():
        case ".svg":
            path.write_text(drawing.svg, encoding="utf-8")
        case ".dot" | ".gv":
            path.write_text(dot(plan), encoding="utf-8")
        case suffix:
            raise OptionError(
                f"a plan cannot be drawn to {str(path)!r} as {suffix or 'a file without suffix'}: write .svg, or .dot "
                f"or .gv (Graphviz source, of which the program dot makes .png and .pdf)"
            )
    return drawing


def dot(plan: Stages) -> str:
    """Return ``plan`` as Graphviz source."""
    return "\n".join([f"digraph {_quoted(plan.name)} {{", *_statements(plan), "}", ""])


def _statements(plan: Stages) -> Iterator[str]:
    yield '  node [shape=box, style="rounded,filled", fillcolor="#e8f1fb", fontname="sans-serif"];'
    yield '  edge [color="#9aa5b1", fontname="sans-serif", fontsize=10];'
    for stage in plan.stages:
        label = f"{stage.name}\n{stage.operation} {_tasks(stage)}"
        colour = ', fillcolor="#eaf6ec"' if stage.holds_values else ""
        yield f"  {_quoted(stage.name)} [label={_quoted(label)}{colour}];"
        for read in stage.reads:
            style = ", style=dashed" if read.relation.barrier else ""
            how = _quoted(reading_text(read))
            yield f"  {_quoted(read.stage)} -> {_quoted(stage.name)} [label={how}{style}];"


def _tasks(stage: Stage) -> str:
    tasks = tasks_text(stage)
    return tasks if stage.is_late else f"{tasks} tasks"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
