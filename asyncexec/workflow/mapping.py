"""The check that what is mapped over has items, as far as annotations say it before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from types import NoneType

from asyncexec.errors import WiringError
from asyncexec.workflow.wiring import FromStage, WiredStage

_ONE_VALUE = (int, float, complex, bool, NoneType)
_NAMES = frozenset({*(kind.__name__ for kind in _ONE_VALUE), "None"})


def check_mappable(workflow: str, stages: Sequence[WiredStage]) -> None:
    """Raise if a stage maps over the result of a function that says that it returns a number, or nothing.

    Raises
    ------
    WiringError
    """
    by_name = {stage.name: stage for stage in stages}
    for stage in stages:
        mapped = stage.mapped
        if mapped is None or not isinstance(mapped.source, FromStage):
            continue
        source = by_name[mapped.source.stage]
        if source.mapped is None and (kind := _one_value(source)):
            raise WiringError(
                f"workflow {workflow!r}, stage {stage.name!r} maps over the result of {source.name!r}, which returns "
                f"{kind}: have it return a list, or let the parameter {mapped.parameter!r} take the result as a whole, "
                f"without map_on"
            )


def _one_value(stage: WiredStage) -> str | None:
    """Return the annotation of the result of ``stage``, if it is no type with items."""
    annotations = getattr(stage.spec.function, "__annotations__", {})
    kind = annotations.get("return", list)
    if kind is None or (isinstance(kind, type) and issubclass(kind, _ONE_VALUE)):
        return "None" if kind in (None, NoneType) else kind.__name__
    return kind if isinstance(kind, str) and kind in _NAMES else None
