"""Prints the manual's table of array functions: ``python -m tools.array_page``.

What a function reads, in how many stages, and what a task needs in memory are taken from the plan of an example.
"""

from __future__ import annotations

import inspect
import re
import tempfile
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import zarr

import asyncexec.array as xp
from asyncexec.array import Array, Spec
from asyncexec.plan import Plan
from asyncexec.plan.access import AxisAccess
from asyncexec.plan.overlap import Overlap
from tests.array.function_examples import EXAMPLES, Operands
from tests.array.standard import SECTIONS

SIDE = 1000
_LINE = re.compile(r"([\w.]+)\(.*\) (\d{4}\.12)")

_INTRODUCTION = """\
# Functions of arrays

<!-- Made by `python -m tools.array_page`; what stands here is said in the code. -->

Every function of `asyncexec.array`, with the version of the array API standard that had it first (none: it is no
function of the standard). *Stages*, *reads* and *memory* are those of an example on arrays of two chunks side by side:
how many stages its plan has, what a task reads of its inputs, and what the task that needs most is projected to hold,
in chunks of 8 MB, without reserved memory. `print(x.to_plan())` and `print(x.to_plan().explain())` say the same of any
expression.

| function | standard | stages | reads | memory | |
|---|---|---|---|---|---|
"""


def page() -> str:
    """Return the page as Markdown."""
    with tempfile.TemporaryDirectory() as folder:
        operands = _operands(Path(folder))
        return _INTRODUCTION + "\n".join(_rows(operands)) + "\n"


def since() -> dict[str, str]:
    """Return the version of the standard that had each function first."""
    lines = (line for section in SECTIONS.values() for line in section.split("\n"))
    return {found[1]: found[2] for found in map(_LINE.fullmatch, lines) if found}


def _operands(folder: Path) -> Operands:
    spec = Spec(work_dir=folder / "work")
    for name in "ab":
        zarr.create_array(
            folder / name, shape=(SIDE, 2 * SIDE), chunks=(SIDE, SIDE), dtype="float64"
        )
    return Operands(*(xp.from_zarr(folder / name, spec=spec) for name in "ab"))


def _rows(operands: Operands) -> Iterator[str]:
    first = since()
    for name in sorted(EXAMPLES, key=lambda name: ("." in name, name.lower())):
        plan = _plan(EXAMPLES[name](operands))
        words = [first.get(name, ""), str(len(plan.stages)), _reads(plan), _memory(plan)]
        yield f"| `{name}` | {' | '.join(words)} | {_summary(name)} |"


def _plan(made: Any) -> Plan:
    arrays = made if isinstance(made, tuple | list) else (made,)
    return xp.plan_of(*(each for each in arrays if isinstance(each, Array)))


def _reads(plan: Plan) -> str:
    """Return what tasks read, in the words of relations."""
    workspace: Any = plan.workspace
    found: dict[str, None] = {}
    for stage in plan.stages:
        for source in workspace.blocks[stage.name].sources:
            accesses = source.select.access.axes
            pairs = zip(accesses, source.array.shape, _chunks(source.array), strict=True)
            found.update(dict.fromkeys(_word(access, n, c) for access, n, c in pairs if n > c))
    return ", ".join(sorted(found)) or "a chunk"


def _chunks(array: Any) -> tuple[int, ...]:
    return tuple(getattr(array, "chunks", None) or array.shape)


def _word(access: AxisAccess, n: int, chunk: int) -> str:
    if access.positions is not None:
        return "positions"
    if isinstance(access.via, Overlap):
        return "a chunk and its neighbours"
    if access.blocks(chunk, n) is not None:
        return "a chunk"
    if access.most >= n:
        return "a whole axis"
    if access.step == 1 and access.block % chunk == 0:
        return "some chunks"
    return "a window"


def _memory(plan: Plan) -> str:
    most = max(stage.memory.projected_bytes - stage.memory.reserved_bytes for stage in plan.stages)
    return f"{most / (prod((SIDE, SIDE)) * 8):.1f}"


def _summary(name: str) -> str:
    value: Any = xp
    for part in name.split("."):
        value = getattr(value, part)
    first = (inspect.getdoc(value) or "").partition("\n\n")[0]
    plain = re.sub(r":\w+:`~?(?:[\w.]+\.)?(\w+)`", r"`\1`", " ".join(first.split()))
    return plain.replace("``", "`").replace("|", "\\|")


if __name__ == "__main__":
    print(page(), end="")
