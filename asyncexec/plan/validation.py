"""Checks that a plan could run, before anything runs; every message names the stage at fault.

All of it costs time in proportion to the stages (and axes), never to the tasks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from graphlib import CycleError as Circle, TopologicalSorter
from heapq import heapify, heappop, heappush
from math import isnan
from typing import Any

from asyncexec.errors import (
    CycleError,
    DuplicateStageError,
    MemoryBudgetError,
    OptionError,
    RelationError,
    UnknownInputError,
    WriteConflictError,
)
from asyncexec.plan.box import point, size
from asyncexec.plan.coroutine_functions import check_concurrency
from asyncexec.plan.given_numbers import as_real_number
from asyncexec.plan.lengths import block_at, misplaced_border
from asyncexec.plan.memory import format_bytes, rounded_down
from asyncexec.plan.missing import check_missing
from asyncexec.plan.relations import Blockwise
from asyncexec.plan.spelling import one_spelling
from asyncexec.plan.stage import ChunkedOutput, Items, LateSize, Read, Stage, Stages
from asyncexec.plan.stage_options import checked_name
from asyncexec.plan.written import block_numbers, conflict, grid_of, is_covered

OVERRIDES = frozenset({"retry", "timeout", "straggler"})
"""The policies a stage may have of its own."""

_SHRINKING = 98
"""How much of what a task needs shrinks with its chunks at least, in percent."""


def in_topological_order(plan: str, stages: Sequence[Stage]) -> tuple[Stage, ...]:
    """Return ``stages`` with producers before their consumers, otherwise in the order given.

    Raises
    ------
    DuplicateStageError, UnknownInputError, CycleError
    """
    position = _positions(plan, stages)
    graph: TopologicalSorter[int] = TopologicalSorter(dict.fromkeys(position.values(), ()))
    for stage in stages:
        for read in stage.reads:
            if read.stage not in position:
                raise _unknown_input(plan, stage, read.stage, position)
            graph.add(position[stage.name], position[read.stage])
        for name in stage.waits_for:
            if name not in position:
                raise _unknown_input(plan, stage, name, position)
            graph.add(position[stage.name], position[name])
    try:
        graph.prepare()
    except Circle as error:
        names = _circle([stages[number].name for number in error.args[1]], position)
        raise CycleError(
            f"stages of plan {plan!r} read each other in a circle: {' -> '.join(names)} "
            f"(each arrow goes from a stage to one that reads it); take out one of these inputs"
        ) from None
    return tuple(stages[number] for number in first_come(graph))


def first_come(graph: TopologicalSorter[int]) -> Iterator[int]:
    """Yield the numbers of ``graph`` in topological order: of those whose producers are done, always the smallest."""
    ready = [*graph.get_ready()]
    heapify(ready)
    while ready:
        number = heappop(ready)
        yield number
        graph.done(number)
        for following in graph.get_ready():
            heappush(ready, following)


def _circle(names: Sequence[str], position: Mapping[str, int]) -> list[str]:
    """Return the cycle ``names``, whose last is its first, beginning with the stage that is first in the plan."""
    first = min(range(len(names) - 1), key=lambda i: position[names[i]])
    turned = [*names[first:-1], *names[:first]]
    return [*turned, turned[0]]


def check(plan: Stages) -> None:
    """Raise unless every stage of ``plan`` fits the others, storage and memory.

    Raises
    ------
    RelationError, WriteConflictError, MemoryBudgetError, UnknownInputError, OptionError
    """
    stages = {stage.name: stage for stage in plan.stages}
    writers: dict[str, Stage] = {}
    may_be_missing: set[str] = set()
    _check_memory(plan.name, plan.stages)
    for stage in plan.stages:
        check_added(plan.name, stage, stages, may_be_missing)
        for output in stage.outputs:
            _check_writer(_where(plan.name, stage), stage, output, writers)
    _check_returns(plan, stages)


def check_added(
    plan: str, stage: Stage, stages: Mapping[str, Stage], may_be_missing: set[str]
) -> None:
    """Raise unless ``stage`` fits the ``stages`` that it reads or waits for, storage and memory.

    Its name is added to ``may_be_missing`` if its values may be.

    Raises
    ------
    RelationError, WriteConflictError, MemoryBudgetError, OptionError
    """
    where = _where(plan, stage)
    check_stage(plan, stage, stages)
    _check_late(where, stage, stages)
    _check_memory(plan, (stage,))
    _check_overrides(where, stage)
    check_missing(where, stage, may_be_missing)
    _check_priority(where, stage)
    _check_idempotent(where, stage)
    check_concurrency(where, stage)


def check_stage(plan: str, stage: Stage, stages: Mapping[str, Stage]) -> None:
    """Raise unless the reads and outputs of ``stage`` fit its index space, and those of the ``stages`` it reads.

    Raises
    ------
    RelationError, WriteConflictError
    """
    where = _where(plan, stage)
    if any(n < 0 for n in stage.shape):
        raise RelationError(f"{where} has the shape {stage.shape}: lengths must not be negative")
    for given in stage.inputs:
        if isinstance(given, Read):
            _check_relation(where, stage, given, stages[given.stage])
        elif not stage.is_late:
            _check_items(where, stage, given)
    for output in stage.outputs:
        _check_blocks(where, stage, output)


def _positions(plan: str, stages: Sequence[Stage]) -> dict[str, int]:
    position: dict[str, int] = {}
    for number, stage in enumerate(stages):
        checked_name(stage.name, of=f"stage {number} of plan {plan!r}")
        first = position.setdefault(stage.name, number)
        if first != number:
            raise DuplicateStageError(
                f"stages {first} and {number} of plan {plan!r} are both called {stage.name!r}: "
                f"give each stage a name of its own"
            )
    return position


def _unknown_input(plan: str, stage: Stage, name: str, names: Iterable[str]) -> UnknownInputError:
    close = get_close_matches(name, names, n=3)
    hint = f"did you mean {' or '.join(map(repr, close))}?" if close else "add it to the plan"
    return UnknownInputError(
        f"{_where(plan, stage)} reads from {name!r}, which the plan does not have; {hint}"
    )


def _where(plan: str, stage: Stage) -> str:
    operation = "" if stage.operation in ("", stage.name) else f" (operation {stage.operation!r})"
    return f"stage {stage.name!r}{operation} of plan {plan!r}"


def _check_relation(where: str, stage: Stage, read: Read, producer: Stage) -> None:
    relation = read.relation
    if relation.producer != producer.shape:
        raise RelationError(
            f"{where} reads {read.stage!r} as if its index space were {relation.producer}, "
            f"but it is {producer.shape}"
        )
    if relation.consumer != stage.shape:
        raise RelationError(
            f"{where} has the index space {stage.shape}, but its relation to {read.stage!r} "
            f"is for one of {relation.consumer}"
        )
    if stage.is_late or producer.is_late or read.many:
        return
    if stage.tasks and stage.holds_values and producer.holds_values:
        # Samples, because all tasks would be too many: the ends are where relations differ.
        for index in ((0,) * len(stage.shape), tuple(n - 1 for n in stage.shape)):
            count = size(relation.reads(point(index)))
            if count != 1:
                raise RelationError(
                    f"task {index} of {where} reads {count} values of {read.stage!r}, where it is "
                    f"to get one: say many=True in its Read to get them as a list"
                )


def _check_late(where: str, stage: Stage, stages: Mapping[str, Stage]) -> None:
    """Raise unless ``stage`` is late where it must be, and its size will be known during the run."""
    late = stage.late
    for read in stage.reads:
        producer = stages[read.stage]
        if late is None and (producer.is_late or read.item):
            known = "whose size" if producer.is_late else "an item each, the number of which"
            raise RelationError(
                f"{where} reads {read.stage!r}, {known} is known only during the run, so its own is not known before "
                f"either: give it a late=LateSize(...)"
            )
        if read.item and (producer.shape or not producer.holds_values):
            raise RelationError(
                f"{where} is to read the items of the value of {read.stage!r}, which must be a single task (shape ()) "
                f"that puts out a value"
            )
    if late is None:
        return
    if late.grows:
        _check_growing(where, stage, stages)
    else:
        _check_waits(where, stage, late, stages)


def _check_waits(where: str, stage: Stage, late: LateSize, stages: Mapping[str, Stage]) -> None:
    """Raise unless a late stage waits for stages that can say its size, and for those that it reads and that grow."""
    for read in stage.reads:
        if stages[read.stage].grows and read.stage not in late.waits_for:
            raise RelationError(
                f"{where} reads {read.stage!r}, whose items come while the plan runs: name that in its "
                f"LateSize(waits_for=...), or read it task by task in a stage that grows with it"
            )
    if not late.waits_for:
        raise OptionError(
            f"{where} is late and waits for no stage: name one in LateSize(waits_for=...)"
        )
    for name in late.waits_for:
        if not stages[name].holds_values:
            raise OptionError(
                f"{where} waits for stage {name!r} to know its size, and that puts out chunks: "
                f"have a stage that puts out values say it"
            )


def _check_growing(where: str, stage: Stage, stages: Mapping[str, Stage]) -> None:
    """Raise unless ``stage`` has a task for each item of one stream, or for each task of one stage that grows."""
    if stage.outputs:
        raise OptionError(f"{where} grows as items come, and an array cannot")
    if len(stage.shape) == len(stage.inputs) == 1:
        (given,) = stage.inputs
        if isinstance(given, Items):
            return
        relation = given.relation
        if stages[given.stage].grows and isinstance(relation, Blockwise) and relation.is_identity:
            return
    raise RelationError(
        f"{where} grows as items come, so it has one axis and one input: a stream of items, or each value of a stage "
        f"that grows"
    )


def _check_items(where: str, stage: Stage, items: Items) -> None:
    count = len(items.values)
    if count != stage.tasks:
        raise RelationError(
            f"{where} has {stage.tasks} tasks and gets {count} items: there must be one item a task"
        )


def _check_writer(
    where: str, stage: Stage, output: ChunkedOutput, writers: dict[str, Stage]
) -> None:
    location = one_spelling(output.location)
    other = writers.setdefault(location, stage)
    if other is not stage:
        raise WriteConflictError(
            f"{where} writes {output.location!r}, which stage {other.name!r} writes too: "
            f"give one of them another location"
        )
    if sum(location == one_spelling(mine.location) for mine in stage.outputs) > 1:
        raise WriteConflictError(f"{where} writes {output.location!r} more than once")


def _check_blocks(where: str, stage: Stage, output: ChunkedOutput) -> None:
    shape, block, unit = output.shape, output.block, output.unit
    if not len(shape) == len(block) == len(unit) or min((*block, *unit), default=1) < 1:
        raise WriteConflictError(
            f"{where} writes {output.location!r} of shape {shape} in blocks of {block} and units of {unit}: "
            f"there must be one positive length an axis"
        )
    numbers, blocks = block_numbers(output), grid_of(output)
    if numbers is None:
        raise WriteConflictError(
            f"{where}: a task does not write one whole block of {block} to {output.location!r} (shape {shape}): "
            f"let its access take blocks that begin at multiples of their length"
        )
    if output.access is not None and (found := conflict(output, stage.shape)) is not None:
        first, second, shared = found
        raise WriteConflictError(
            f"{where}: tasks {first} and {second} would both write block {shared} of {output.location!r}; "
            f"let an axis of what it writes follow each axis of its index space {stage.shape}"
        )
    if not is_covered(output, stage.shape) or (output.access is None and blocks != stage.shape):
        raise WriteConflictError(
            f"{where} has the index space {stage.shape}, but what it writes to {output.location!r} "
            f"(shape {shape} in blocks of {block}) has {blocks} blocks: there must be one task a block"
        )
    for axis, (count, length, whole) in enumerate(zip(blocks, block, unit, strict=True)):
        border = misplaced_border(shape[axis], length, whole)
        if count > 1 and border is not None:
            along, before = numbers[axis].axis, block_at(length, border) - 1
            first = tuple(before * (a == along) for a in range(len(stage.shape)))
            second = tuple((before + 1) * (a == along) for a in range(len(stage.shape)))
            shared = tuple(block_at(whole, border) if a == axis else 0 for a in range(len(blocks)))
            raise WriteConflictError(
                f"{where}: tasks {first} and {second} would both write chunk {shared} of {output.location!r}, "
                f"because a block of {block} is not a multiple of the chunk (or shard) of {unit} along axis {axis}; "
                f"rechunk so that it is, or choose a chunk that divides {length}"
            )


def _check_memory(plan: str, stages: Iterable[Stage]) -> None:
    """Raise unless all ``stages`` fit into memory, for the one that needs the smallest chunks.

    Raises
    ------
    MemoryBudgetError
    """
    over = [stage for stage in stages if not stage.memory.fits]
    stage = min(over, key=lambda each: each.memory.fitting_share, default=None)
    if stage is None:
        return
    where, memory = _where(plan, stage), stage.memory
    projected, allowed = memory.projected_bytes, memory.allowed_bytes or 0
    sizes = format_bytes(projected), format_bytes(allowed)
    if sizes[0] == sizes[1]:
        sizes = f"{projected:,} bytes", f"{allowed:,} bytes"
    advice = f"allow at least {format_bytes(projected)} (allowed_mem)"
    # A little does not shrink with the chunks: what lies at edges, and lists.
    fitting = memory.fitting_chunk_bytes * _SHRINKING // 100
    if fitting > 0:
        chunks = format_bytes(memory.chunk_bytes), format_bytes(rounded_down(fitting))
        if chunks[0] == chunks[1]:
            chunks = f"{memory.chunk_bytes:,} bytes", f"{fitting:,} bytes"
        advice = (
            f"its largest chunk is {chunks[0]}: make chunks of at most {chunks[1]}, or {advice}"
        )
    raise MemoryBudgetError(
        f"a task of {where} is projected to need {sizes[0]}, and {sizes[1]} is allowed "
        f"({format_bytes(memory.reserved_bytes)} of it reserved); {advice}"
    )


def _check_overrides(where: str, stage: Stage) -> None:
    unknown = sorted(set(stage.overrides) - OVERRIDES)
    if unknown:
        raise OptionError(
            f"{where} overrides {', '.join(map(repr, unknown))}: "
            f"a stage may override {', '.join(sorted(OVERRIDES))} only"
        )


def _check_priority(where: str, stage: Stage) -> None:
    priority = as_real_number(stage.priority)
    if priority is None or isnan(priority):
        raise OptionError(
            f"{where} has priority={stage.priority!r}: give a number, higher for what goes first"
        )


def _check_idempotent(where: str, stage: Stage) -> None:
    idempotent: Any = stage.idempotent
    if not isinstance(idempotent, bool):
        raise OptionError(f"{where} has idempotent={idempotent!r}: give True or False")


def _check_returns(plan: Stages, stages: Mapping[str, Stage]) -> None:
    for name in (*plan.returns, *plan.keeps):
        stage = stages.get(name)
        if stage is None:
            close = get_close_matches(name, stages, n=3)
            hint = f"; did you mean {' or '.join(map(repr, close))}?" if close else ""
            raise UnknownInputError(
                f"plan {plan.name!r} is to return or keep stage {name!r}, which it does not have{hint}"
            )
        if not stage.holds_values:
            raise OptionError(
                f"plan {plan.name!r} is to return or keep stage {name!r}, which puts out chunks: "
                f"read what it writes, and let the plan return or keep stages of values only"
            )
