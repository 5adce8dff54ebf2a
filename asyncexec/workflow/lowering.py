"""From a workflow and the inputs of a run to a plan."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asyncexec.plan import Items, Plan, Read, Stage
from asyncexec.plan.functions import kernel_stage
from asyncexec.plan.items import as_sequence
from asyncexec.plan.late import following, sized_by
from asyncexec.plan.relations import All, identity
from asyncexec.plan.stage import LateSize
from asyncexec.workflow.bound_call import BoundCall, Slot
from asyncexec.workflow.wiring import Argument, FromInput, FromStage, WiredStage


def lower_workflow(
    name: str, stages: Sequence[WiredStage], returns: Sequence[str], inputs: Mapping[str, Any]
) -> Plan:
    """Return the plan of a run; ``stages`` stand before those that take their results."""
    known: dict[str, Stage] = {}
    named = {source.name for stage in stages for source in stage.inputs}
    for stage in stages:
        known[stage.name] = _Lowering(stage, known, inputs, named).stage()
    return Plan(known.values(), name, returns)


@dataclass(slots=True)
class _Lowering:
    """One stage, while it becomes a stage of a plan."""

    wired: WiredStage
    known: Mapping[str, Stage]
    inputs: Mapping[str, Any]
    named: Collection[str]

    def stage(self) -> Stage:
        mapped = self.wired.mapped
        if mapped is None:
            return self._made((), ())
        if isinstance(mapped.source, FromInput):
            items = as_sequence(self.inputs[mapped.source.name])
            return self._made((Items(items),), (len(items),))
        previous = self.known[mapped.source.stage]
        if previous.shape:
            read = Read(previous.name, identity(previous.shape))
            return self._made((read,), previous.shape, along=previous)
        return self._made((Read(previous.name, All((), (0,)), item=True),), (0,), items_of=previous)

    def _made(
        self,
        mapped: tuple[Read | Items, ...],
        shape: tuple[int, ...],
        *,
        along: Stage | None = None,
        items_of: Stage | None = None,
    ) -> Stage:
        """Return the stage whose first input is what is mapped over, if anything is."""
        wired = self.wired
        whole = dict.fromkeys(
            a.source.stage
            for a in wired.arguments
            if isinstance(a.source, FromStage) and not a.mapped
        )
        read = [self.known[name] for name in whole]
        reads = (Read(s.name, All(s.shape, shape), many=bool(s.shape)) for s in read)
        slots = {name: Slot(i) for i, name in enumerate(whole, start=len(mapped))}
        late: LateSize | None
        if items_of is not None:
            late = sized_by(items_of.name, *read, after=wired.after)
        else:
            late = following(*read, *([along] if along else []), along=along, after=wired.after)
        return kernel_stage(
            self._kernel(slots),
            wired.name,
            {**wired.spec.options},  # type: ignore[typeddict-item]  # whose names were checked
            operation="map" if mapped else "call",
            shape=shape,
            inputs=(*mapped, *reads),
            late=late,
        )

    def _kernel(self, slots: Mapping[str, Slot]) -> BoundCall:
        positional: list[Any] = []
        keywords: dict[str, Any] = {}
        for argument in self.wired.arguments:
            if argument.by_keyword:
                if self._is_given(argument):
                    keywords[argument.parameter] = self._value(argument, slots)
            else:
                positional.append(self._value(argument, slots))
        if self.wired.takes_rest:
            rest = {n: value for n, value in self.inputs.items() if n not in self.named}
            keywords = rest | keywords
        return BoundCall(self.wired.spec.function, tuple(positional), keywords)

    def _is_given(self, argument: Argument) -> bool:
        """Return whether there is a value; otherwise the function's own default counts."""
        source = argument.source
        return isinstance(source, FromStage) or source.name in self.inputs

    def _value(self, argument: Argument, slots: Mapping[str, Slot]) -> Any:
        source = argument.source
        if argument.mapped:
            return Slot(0)
        if isinstance(source, FromStage):
            return slots[source.stage]
        return self.inputs.get(source.name, source.default)
