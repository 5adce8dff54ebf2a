"""From a workflow and the inputs of a run to a plan."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from asyncexec.errors import WorkflowInputError
from asyncexec.plan import Items, Plan, Read, Stage
from asyncexec.plan.function_call import FunctionCall
from asyncexec.plan.functions import kernel_stage
from asyncexec.plan.item_stream import ItemStream, as_many_as_items, is_stream
from asyncexec.plan.items import as_sequence
from asyncexec.plan.late import following, sized_by
from asyncexec.plan.relations import All, identity
from asyncexec.plan.stage import LateSize
from asyncexec.workflow.bound_call import BoundCall, Slot
from asyncexec.workflow.wiring import Argument, FromInput, FromStage, Wired, WiredStage

_NO_CONTEXT: Mapping[str, Any] = MappingProxyType({})


MOST_ITEMS = 1_000
"""Up to so many items of an input that is mapped over stand in the run's context, which goes to every worker."""


MOST_BYTES = 64_000
"""Arrays up to this size stand there."""


def lower_workflow(
    workflow: Wired, inputs: Mapping[str, Any], context: Mapping[str, Any] = _NO_CONTEXT
) -> Plan:
    """Return the plan of a run with ``inputs``, and with ``context`` in addition to the workflow's name and inputs."""
    stages = workflow.stages
    known: dict[str, Stage] = {}
    gates: dict[str, tuple[str, ...]] = {}
    named = {source.name for stage in stages for source in stage.inputs}
    for stage in stages:
        known[stage.name] = _Lowering(stage, known, gates, inputs, named).stage()
        gates[stage.name] = _passed_on(stage, gates)
    return Plan(
        known.values(),
        workflow.name,
        workflow.returns,
        keeps=workflow.keeps,
        context={"workflow": workflow.name, "input": _for_context(stages, inputs), **context},
    )


def _for_context(stages: Sequence[WiredStage], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs without large arrays, and without those that are mapped over and have many items."""
    mapped = {
        s.mapped.source.name for s in stages if s.mapped and isinstance(s.mapped.source, FromInput)
    }
    return {
        name: value
        for name, value in inputs.items()
        if getattr(value, "nbytes", 0) <= MOST_BYTES
        and (name not in mapped or (isinstance(value, Sized) and len(value) <= MOST_ITEMS))
    }


def _takes_missing(stage: WiredStage) -> bool:
    return bool(stage.spec.options.get("takes_missing"))


def _passed_on(stage: WiredStage, gates: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Return the conditions without which ``stage`` is skipped, those of the stages before it among them."""
    if _takes_missing(stage):
        return stage.gates
    before = (gate for name in (*stage.reads, *stage.after) for gate in gates[name])
    return tuple(dict.fromkeys((*stage.gates, *before)))


@dataclass(slots=True)
class _Lowering:
    """One stage, while it becomes a stage of a plan."""

    wired: WiredStage
    known: Mapping[str, Stage]
    gates: Mapping[str, tuple[str, ...]]
    inputs: Mapping[str, Any]
    named: Collection[str]

    def stage(self) -> Stage:
        mapped = self.wired.mapped
        if mapped is None:
            return self._made((), ())
        if isinstance(mapped.source, FromInput):
            given = self.inputs[mapped.source.name]
            if is_stream(given):
                return self._made((Items(ItemStream((given,))),), (0,), streamed=mapped.source.name)
            items = as_sequence(given)
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
        streamed: str = "",
    ) -> Stage:
        """Return the stage whose first input is what is mapped over, if anything is."""
        wired = self.wired
        whole = dict.fromkeys(
            a.source.stage
            for a in wired.all_arguments
            if isinstance(a.source, FromStage) and not a.mapped
        )
        whole |= dict.fromkeys(self._gates(whole))
        read = [self.known[name] for name in whole]
        reads = (Read(s.name, All(s.shape, shape), many=bool(s.shape)) for s in read)
        slots = {name: Slot(i) for i, name in enumerate(whole, start=len(mapped))}
        late: LateSize | None
        if streamed:
            if read or wired.after:
                raise WorkflowInputError(
                    f"stage {wired.name!r} maps over the input {streamed!r}, whose items are read while the workflow "
                    f"runs, and so it cannot take the results of other stages ({', '.join((*whole, *wired.after))}): "
                    f"give a list of the items"
                )
            late = as_many_as_items()
        elif items_of is not None:
            late = sized_by(items_of.name, *read, after=wired.after)
        else:
            late = following(*read, *([along] if along else []), along=along, after=wired.after)
        kernel = self._kernel(wired, slots)
        return kernel_stage(
            # Many stages pass on their inputs as they come, which is quicker without looking at slots.
            FunctionCall(kernel.function) if kernel.is_plain(len(mapped) + len(read)) else kernel,
            wired.name,
            {**wired.spec.options},  # type: ignore[typeddict-item]  # whose names were checked
            operation="map" if mapped else "call",
            shape=shape,
            inputs=(*mapped, *reads),
            late=late,
        )

    def _kernel(self, wired: WiredStage, slots: Mapping[str, Slot]) -> BoundCall:
        positional: list[Any] = []
        keywords: dict[str, Any] = {}
        for argument in wired.arguments:
            if not argument.by_keyword:
                positional.append(self._value(argument, slots))
            elif self._is_given(argument):
                keywords[argument.parameter] = self._value(argument, slots)
        if wired.takes_rest:
            rest = {n: value for n, value in self.inputs.items() if n not in self.named}
            keywords = rest | keywords
        # Without `takes_missing`, no task is run of which a gate is closed.
        gates = wired.gates if _takes_missing(wired) else ()
        return BoundCall(
            wired.spec.function,
            tuple(positional),
            keywords,
            tuple(slots[name].number for name in gates),
            None if wired.condition is None else self._kernel(wired.condition, slots),
        )

    def _gates(self, read: Iterable[str]) -> Iterator[str]:
        """Yield the conditions that this stage waits for: its own, and those of stages that pass on nothing.

        Of a stage with one task, a missing value says that it was skipped. Of one with many there is a list, and of one
        that is only waited for there is nothing.
        """
        yield from self.wired.gates
        if not _takes_missing(self.wired):
            for name in (*(n for n in read if self.known[n].shape), *self.wired.after):
                yield from self.gates[name]

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
