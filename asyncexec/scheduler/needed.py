"""The tasks of a resumed run whose chunks nothing needs any more, because all that reads them is complete."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncexec.plan.stage import Stage
    from asyncexec.plan.workspace import OpenWorkspace
    from asyncexec.scheduler.graph import Graph

type Runs = Sequence[range]


def with_unneeded(
    stages: Sequence[Stage], done: Sequence[Runs], graph: Graph, workspace: OpenWorkspace
) -> list[Runs]:
    """Return ``done`` (the complete tasks, by stage) with those tasks added that need not run.

    Such a task writes chunks that only other stages read, and each task that reads them is complete or need not run. If
    one of them is read after all, because a chunk that was made of it is damaged, it is made again as any lost chunk.
    """
    if not any(done) or any(
        stage.is_late for stage in stages
    ):  # What late stages read is not known.
        return list(done)
    more = list(done)
    needed = [bytearray(stage.tasks) for stage in stages]
    # Backwards, as each stage stands behind all that it reads.
    for position in range(len(stages) - 1, -1, -1):
        stage = stages[position]
        passes_on = workspace.passes_on(stage)
        flags = needed[position]
        if not passes_on or not graph.outputs[position]:
            flags[:] = b"\x01" * len(flags)
        for run in done[position]:
            flags[run.start : run.stop] = bytes(len(run))
        if passes_on and not all(flags):
            more[position] = _runs_of(flags, 0)
        _mark_read(graph, position, flags, needed)
    return more


def _mark_read(graph: Graph, position: int, flags: bytearray, needed: Sequence[bytearray]) -> None:
    """Mark what the tasks with a flag read as needed."""
    for edge in graph.inputs[position]:
        read = needed[edge.producer]
        if flags and all(flags):
            read[:] = b"\x01" * len(read)
            continue
        for run in _runs_of(flags, 1):
            for task in run:
                for producers in edge.producers(task):
                    read[producers.start : producers.stop] = b"\x01" * len(producers)


def _runs_of(flags: bytearray, value: int) -> list[range]:
    """Return the positions with this value, as ranges."""
    found: list[range] = []
    other = 1 - value
    start = flags.find(value)
    while start >= 0:
        stop = flags.find(other, start)
        stop = len(flags) if stop < 0 else stop
        found.append(range(start, stop))
        start = flags.find(value, stop)
    return found
