"""Numbers of tasks for late stages: a simulation has no values from which their sizes could be learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from asyncexec.config.checks import whole_number
from asyncexec.config.fields import nearest
from asyncexec.errors import OptionError
from asyncexec.plan.late import of_shape, resolved
from asyncexec.plan.plan import Plan
from asyncexec.plan.stage import Items, LateSize, Read, Stage

if TYPE_CHECKING:
    from asyncexec.plan.box import Shape


def with_late_tasks(plan: Plan, late_tasks: Mapping[str, int]) -> Plan:
    """Return ``plan`` with the numbers of ``late_tasks`` in the stages whose size a value would give.

    Their sizes still become known only when the stages that they wait for are complete.

    Raises
    ------
    OptionError
        If a number is missing, or is given for a stage whose size is known otherwise, or is negative.
    """
    late = [s.name for s in plan.stages if s.late is not None and s.late.reads_values]
    for name, tasks in late_tasks.items():
        if name not in late:
            close = nearest(name, late)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise OptionError(
                f"simulation: late_tasks has a number for {name!r}; {hint}The stages that need one are: "
                f"{', '.join(late) or 'none'}"
            )
        whole_number(tasks, f"simulation: late_tasks[{name!r}]", least=0)
    if missing := [name for name in late if name not in late_tasks]:
        example = ", ".join(f"{name!r}: 100" for name in missing)
        raise OptionError(
            f"simulation: only a run can find out how many tasks these stages have: {', '.join(missing)}. Say how many "
            f"to simulate: late_tasks={{{example}}}"
        )
    if not late:
        return plan
    known: dict[str, Stage] = {}
    for stage in plan.stages:
        if stage.grows or _reads_grown(plan, stage):
            known[stage.name] = _grown(stage, late_tasks, known)
        elif stage.name in late:
            known[stage.name] = _of_tasks(stage, late_tasks[stage.name])
        else:
            known[stage.name] = stage
    return replace(plan, stages=tuple(known.values()))


def sized_plan(plan: Plan) -> Plan:
    """Return a plan of :func:`with_late_tasks`, or of a recorded run, with all its sizes known from the start."""
    if not any(stage.is_late for stage in plan.stages):
        return plan
    known: dict[str, Stage] = {}
    for stage in plan.stages:
        known[stage.name] = resolved(plan.name, stage, {}, known)
    return Plan(known.values(), plan.name, ())


def _grown(stage: Stage, late_tasks: Mapping[str, int], known: Mapping[str, Stage]) -> Stage:
    """Return a stage that grows with all its tasks from the start: a simulation has no items to wait for."""
    if stage.name in late_tasks:
        tasks = late_tasks[stage.name]
        return replace(stage, shape=(tasks,), inputs=(Items(range(tasks)),), late=None)
    shapes = {name: other.shape for name, other in known.items()}
    return stage if stage.late is None else stage.late.resolve(stage, {}, shapes)


def _reads_grown(plan: Plan, stage: Stage) -> bool:
    """Return whether ``stage`` waits only for stages that grow, the sizes of which a simulation knows."""
    late = stage.late
    if late is None or late.reads_values:
        return False
    return all(plan.stage(name).grows for name in late.waits_for)


def _of_tasks(stage: Stage, tasks: int) -> Stage:
    unknown = [axis for axis, n in enumerate(stage.shape) if n == 0]
    # All along one of the unknown axes: durations of tasks do not depend on their position.
    shape = tuple(n or (tasks if axis == unknown[0] else 1) for axis, n in enumerate(stage.shape))
    resolve = partial(_of_shape, shape)
    return replace(
        stage, late=LateSize(waits_for=stage.waits_for, resolve=resolve, reads_values=False)
    )


def _of_shape(shape: Shape, stage: Stage, _: object, shapes: Mapping[str, Shape]) -> Stage:
    """Return a stage of a shape, whose outputs have as many blocks."""
    # There are no values, so no input can be an item of one.
    inputs = tuple(replace(i, item=False) if isinstance(i, Read) else i for i in stage.inputs)
    outputs = tuple(
        replace(o, shape=tuple(n * b for n, b in zip(shape, o.block, strict=True)))
        for o in stage.outputs
    )
    return of_shape(replace(stage, inputs=inputs, outputs=outputs), shape, shapes)
