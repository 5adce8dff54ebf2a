"""Stages of plain Python functions, called as the built-in ``map`` calls them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from asyncexec.errors import OptionError
from asyncexec.plan.memory import Memory, parse_bytes
from asyncexec.plan.relations import All, identity
from asyncexec.plan.stage import Items, Read, Stage

if TYPE_CHECKING:
    from asyncexec.plan.box import Index


@dataclass(frozen=True, slots=True)
class Apply:
    """A kernel that calls a function with the task's inputs, and leaves the index out."""

    function: Callable[..., Any]

    def __call__(self, index: Index, *inputs: Any) -> Any:
        return self.function(*inputs)


def map_stage(
    function: Callable[..., Any],
    *items: Iterable[Any],
    name: str = "",
    retry: Any = None,
    timeout: Any = None,
    straggler: Any = None,
    resources: Mapping[str, float] | None = None,
    memory: float | str | None = None,
    idempotent: bool = True,
) -> Stage:
    """Return the stage that calls ``function(item)``, or ``function(*items)`` of several sequences side by side.

    Parameters
    ----------
    function : callable
        Plain or ``async``.
    *items : iterables of equal length
        Sequences and NumPy arrays are indexed when a task is sent, so a lazy sequence stays lazy, and must not
        change before the plan has run; anything else is made a list.
    name : str
        By default the function's own name.
    retry, timeout, straggler
        Policies for this stage alone, as :meth:`asyncexec.Engine.execute` takes them; None leaves those of the run.
    resources : mapping of str to float
        What one task takes of the named resources (``{"gpus": 1}``).
    memory : int or str
        What one task is projected to need, in bytes or as text (``"2GB"``).
    idempotent : bool
        Whether an attempt may be repeated after it has started.

    Raises
    ------
    OptionError
        If there are no items, lengths differ, or an option cannot be.
    """
    if not items:
        raise OptionError("map needs at least one sequence of items after the function")
    values = [_sequence(sequence) for sequence in items]
    lengths = [len(sequence) for sequence in values]
    if len(set(lengths)) > 1:
        raise OptionError(f"the sequences of items must be of equal length, not {lengths}")
    return Stage(
        name=name or name_of(function, default="map"),
        kernel=Apply(_callable(function)),
        shape=(lengths[0],),
        inputs=tuple(Items(sequence) for sequence in values),
        operation="map",
        **_options(retry, timeout, straggler, resources, memory, idempotent=idempotent),
    )


def then_stage(
    previous: Stage,
    function: Callable[..., Any],
    *,
    name: str,
    idempotent: bool = True,
    **options: Any,
) -> Stage:
    """Return the stage that calls ``function`` with each value of ``previous``; options as in :func:`map_stage`."""
    return Stage(
        name=name,
        kernel=Apply(_callable(function)),
        shape=previous.shape,
        inputs=(Read(previous.name, identity(previous.shape)),),
        operation="map",
        **_options(idempotent=idempotent, **options),
    )


def reduce_stage(
    previous: Stage,
    function: Callable[..., Any],
    *,
    name: str,
    idempotent: bool = True,
    **options: Any,
) -> Stage:
    """Return the single task that calls ``function`` with the list of all values of ``previous``, in order."""
    return Stage(
        name=name,
        kernel=Apply(_callable(function)),
        shape=(),
        inputs=(Read(previous.name, All(previous.shape, ()), many=True),),
        operation="reduce",
        **_options(idempotent=idempotent, **options),
    )


def name_of(function: Callable[..., Any], *, default: str) -> str:
    """Return what ``function`` is called: its own name, or ``default`` where it has none (a lambda, a partial)."""
    name = getattr(function, "__name__", "")
    return default if name in ("", "<lambda>") else str(name)


def free_name(name: str, taken: Container[str]) -> str:
    """Return ``name``, or with the first number that makes it new among ``taken`` (``name-2``)."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free


def _callable(function: Callable[..., Any]) -> Callable[..., Any]:
    if not callable(function):
        raise OptionError(f"{function!r} cannot be called: give a function")
    return function


def _sequence(items: Iterable[Any]) -> Sequence[Any]:
    if isinstance(items, Sequence) and not isinstance(items, deque):
        return items
    if isinstance(items, np.ndarray) and items.ndim:
        return items  # type: ignore[return-value]  # indexed and measured like one
    try:
        return list(items)
    except TypeError as error:
        raise OptionError(
            f"items must be a sequence or another iterable, not {items!r}: {error}"
        ) from error


def _options(
    retry: Any = None,
    timeout: Any = None,
    straggler: Any = None,
    resources: Mapping[str, float] | None = None,
    memory: float | str | None = None,
    *,
    idempotent: bool,
) -> dict[str, Any]:
    policies = {"retry": retry, "timeout": timeout, "straggler": straggler}
    return {
        "overrides": {key: value for key, value in policies.items() if value is not None},
        "resources": dict(resources or {}),
        "memory": Memory()
        if memory is None
        else Memory(projected_bytes=parse_bytes(memory, what="memory")),
        "idempotent": idempotent,
    }
