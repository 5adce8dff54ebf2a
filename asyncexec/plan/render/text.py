"""A plan as text: one line, or a tree of its stages from the results down to their inputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asyncexec.plan.item_stream import ItemStream
from asyncexec.plan.memory import format_bytes
from asyncexec.plan.relations import Blockwise, Guarded
from asyncexec.plan.render.axis_words import ONE_BLOCK, WORDS, word_of
from asyncexec.plan.stage import ChunkedOutput, Items, Read, Stage, Stages

if TYPE_CHECKING:
    from asyncexec.plan.box import Shape
    from asyncexec.plan.relations import Relation

_HEADINGS = ("", "read as", "operation", "tasks", "writes", "in blocks of", "memory")
_MOST_INDENTED = 60
"""The width of the tree before a stage, beyond which its middle is left out: text grows with stages, not with depth."""
_NO_FIGURES = ("",) * (len(_HEADINGS) - 2)


def describe(plan: Stages) -> str:
    """Return ``plan`` in one line."""
    return f"<Plan {plan.name!r}: {summary(plan)}>"


def tree(plan: Stages) -> str:
    """Return ``plan`` as a table, whose first column is a tree: below each stage are those it reads.

    A stage that is read in several places is shown in full once.
    """
    rows = [_HEADINGS, *_rows(plan)]
    used = [i for i in range(len(_HEADINGS)) if i == 0 or any(row[i] for row in rows[1:])]
    widths = {i: max(len(row[i]) for row in rows) for i in used}
    lines = ("  ".join(row[i].ljust(widths[i]) for i in used).rstrip() for row in rows)
    return "\n".join([f"Plan {plan.name!r}: {summary(plan)}", *lines])


def summary(plan: Stages) -> str:
    """Return the figures of ``plan`` in a few words."""
    tasks = _count(plan.tasks, "task")
    if any(0 in stage.shape for stage in plan.stages if stage.is_late):
        tasks = f"at least {tasks}"
    parts = [_count(len(plan.stages), "stage"), tasks]
    if plan.write_bytes:
        parts.append(f"writes {format_bytes(plan.write_bytes)}")
    if plan.projected_bytes:
        parts.append(f"projected memory {format_bytes(plan.projected_bytes)}")
    return ", ".join(parts)


def reading_text(read: Read) -> str:
    """Return the word for the relation of a read."""
    return "item" if read.item else how_it_reads(read.relation)


def tasks_text(stage: Stage) -> str:
    """Return the number of tasks of ``stage`` as text, or the stages that give the number."""
    if stage.grows:
        return "as many as items come"
    if stage.is_late and 0 in stage.shape:
        return f"as many as {' and '.join(stage.waits_for)} gives"
    return f"{stage.tasks:,}"


def how_it_reads(relation: Relation) -> str:
    """Return the word for ``relation``: that of the least regular of its axes."""
    inner = relation.inner if isinstance(relation, Guarded) else relation
    if not isinstance(inner, Blockwise):
        return type(relation).__name__.strip("_").lower()
    if inner.is_identity:
        return "identity" if inner is relation else "concat"
    found = {"concat"} if inner is not relation else set[str]()
    for axis, axis_map in zip(inner.axes, inner.maps, strict=True):
        found.add(word_of(axis_map, 1 if axis is None else inner.consumer[axis]))
    for word in WORDS:
        for one in found:
            if one.startswith(word):
                return one
    return _regular(inner, found)


def _regular(relation: Blockwise, found: set[str]) -> str:
    """Return the word for a relation that reads one block along each axis."""
    followed = {
        axis
        for axis, n in zip(relation.axes, relation.producer, strict=True)
        if axis is not None and n == relation.consumer[axis]
    }
    if any(n != 1 and axis not in followed for axis, n in enumerate(relation.consumer)):
        return "broadcast"
    order = [axis for axis in relation.axes if axis is not None]
    turned = len(relation.producer) == len(relation.consumer) and any(
        axis not in (None, p) for p, axis in enumerate(relation.axes)
    )
    if turned or order != sorted(order):
        return "permute"
    # An axis that is dropped is read at one block; a new one repeats.
    return ONE_BLOCK if ONE_BLOCK in found or None in relation.axes else "broadcast"


def shape_text(shape: Shape) -> str:
    """Return ``shape`` as people write it (``37x49``)."""
    return "x".join(f"{n:,}" for n in shape) or "scalar"


def output_text(output: ChunkedOutput) -> str:
    """Return the blocks that ``output`` is written in, after its name if it has one."""
    return f"{output.name} {shape_text(output.block)}".strip()


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"


def _rows(plan: Stages) -> Iterator[Sequence[str]]:
    """Yield the table's rows, depth first."""
    read = {r.stage for stage in plan.stages for r in stage.reads}
    shown: set[str] = set()
    # What is still to show: the tree before it and before what lies below it, how it is read, and what it is.
    todo: list[tuple[str, str, str, Stage | Items]] = [
        ("• ", "  ", "", stage) for stage in reversed(plan.stages) if stage.name not in read
    ]
    while todo:
        before, below, how, given = todo.pop()
        if isinstance(given, Items):
            yield f"{before}{items_text(given)}", how, *_NO_FIGURES
        elif given.name in shown:
            yield f"{before}{given.name} (above)", how, *_NO_FIGURES
        else:
            shown.add(given.name)
            yield f"{before}{given.name}", how, *_figures(given)
            todo += reversed(list(_below(plan, given, below)))


def _below(
    plan: Stages, stage: Stage, prefix: str
) -> Iterator[tuple[str, str, str, Stage | Items]]:
    """Yield the inputs of ``stage``; a single input is not indented, so that chains stay straight."""
    if len(prefix) > _MOST_INDENTED:
        prefix = f"  … {prefix[len(prefix) - _MOST_INDENTED + 4 :]}"
    for number, given in enumerate(stage.inputs, start=1):
        if len(stage.inputs) == 1:
            connector, under = "", ""
        elif number < len(stage.inputs):
            connector, under = "├─ ", "│  "
        else:
            connector, under = "└─ ", "   "
        if isinstance(given, Read):
            how, what = reading_text(given), plan.stage(given.stage)
            yield prefix + connector, prefix + under, how, what
        else:
            yield prefix + connector, prefix + under, "item", given


def items_text(items: Items) -> str:
    """Return the number and the type of ``items`` as text."""
    if isinstance(items.values, ItemStream):
        return f"items ({items.values!r})"
    return f"{_count(len(items.values), 'item')} ({type(items.values).__name__})"


def _figures(stage: Stage) -> tuple[str, ...]:
    memory = stage.memory
    needs = format_bytes(memory.projected_bytes) if memory.projected_bytes else ""
    if needs and memory.allowed_bytes is not None:
        needs += f" of {format_bytes(memory.allowed_bytes)}"
    tasks = tasks_text(stage)
    if len(stage.shape) > 1 and stage.tasks:
        tasks += f" ({shape_text(stage.shape)})"
    writes = format_bytes(stage.write_bytes) if stage.outputs else ""
    blocks = ", ".join(dict.fromkeys(map(output_text, stage.outputs)))
    return stage.operation, tasks, writes, blocks, needs
