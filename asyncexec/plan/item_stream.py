"""Items that are not there before a plan runs: those of generators and async generators, which may have no end."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Sequence, Sized
from typing import TYPE_CHECKING, Any, overload

from asyncexec.errors import OptionError, PlanError, UsageError
from asyncexec.plan.stage import LateSize

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asyncexec.plan.box import Shape
    from asyncexec.plan.stage import Stage


def is_stream(items: object) -> bool:
    """Return whether the number of ``items`` is not known before all are read."""
    if isinstance(items, Sized):
        return False
    return isinstance(items, Iterable | AsyncIterable)


class ItemStream(Sequence[Any]):
    """The items of iterables, taken side by side; they are read while the plan runs, as there is room for them.

    For ``Items`` it is an empty sequence. Iterators (generators, files, ``map``, …) can be gone through once.

    Parameters
    ----------
    sources : sequence of iterables, sync or async
    """

    def __init__(self, sources: Sequence[Iterable[Any] | AsyncIterable[Any]]) -> None:
        self.sources = tuple(sources)
        self._claimed = ""

    def __len__(self) -> int:
        return 0

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        raise IndexError("the items of a stream are not known before the plan runs")

    def __repr__(self) -> str:
        return ", ".join(type(source).__name__ for source in self.sources)

    def claim(self, plan: str, stage: str) -> None:
        """Take the items for one execution.

        Raises
        ------
        UsageError
            If they can be gone through only once, and an execution has.
        """
        kinds = [type(s).__name__ for s in self.sources if isinstance(s, Iterator | AsyncIterator)]
        if kinds and self._claimed:
            raise UsageError(
                f"plan {plan!r}, stage {stage!r}: its items come from a {kinds[0]}, which can be gone through once, "
                f"and an execution of {self._claimed} has taken it. Make the plan again, or give items that can be "
                f"gone through again, such as a list"
            )
        self._claimed = f"plan {plan!r}"


def claim_items(stages: Iterable[Stage], plan: str, *, resume: bool) -> None:
    """Take the items of the streams of a plan for one execution.

    Raises
    ------
    UsageError
        If some can be gone through only once, and an execution has.
    OptionError
        If the run is to be resumed, for which items have to be the same each time.
    """
    for stage in stages:
        for given in stage.items:
            if isinstance(given.values, ItemStream):
                if resume:
                    raise OptionError(
                        f"plan {plan!r}, stage {stage.name!r}: resume=True is for items that are known before a run, "
                        f"and these come from a {given.values!r}: give a list"
                    )
                given.values.claim(plan, stage.name)


def as_many_as_items() -> LateSize:
    """Return the late size of a stage with one task for each item of a stream."""
    return LateSize(waits_for=(), resolve=_never_resolved, grows=True)


def _never_resolved(
    stage: Stage,
    values: Mapping[str, Any],  # noqa: ARG001 - the form of every resolve
    shapes: Mapping[str, Shape],  # noqa: ARG001 - the same
) -> Stage:
    raise PlanError(f"stage {stage.name!r} has as many tasks as items come, which only a run knows")
