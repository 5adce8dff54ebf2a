"""Stages of plain Python functions, called as the built-in ``map`` calls them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Unpack

from asyncexec.errors import OptionError
from asyncexec.plan.function_call import FunctionCall, StarredCall
from asyncexec.plan.item_stream import ItemStream, as_many_as_items, is_stream
from asyncexec.plan.items import as_sequence
from asyncexec.plan.late import following, sized_by
from asyncexec.plan.limit import checked_labels, limit_of
from asyncexec.plan.memory import Memory, parse_bytes
from asyncexec.plan.relations import All, identity
from asyncexec.plan.stage import Items, Kernel, LateSize, Read, Stage
from asyncexec.plan.stage_options import (
    StageOptions,
    check_option_names,
    checked_name,
    resources_of,
)

if TYPE_CHECKING:
    from asyncexec.plan.box import Shape

    type FreeName = Callable[[str], str]


def map_stage(
    function: Callable[..., Any],
    *items: Iterable[Any],
    starred: bool = False,
    **options: Unpack[StageOptions],
) -> Stage:
    """Return the stage that calls ``function`` with every item.

    Parameters
    ----------
    function : callable
        Plain or ``async``. It gets one item of each sequence, like the function of the built-in ``map``.
    *items : iterables of equal length
        Sequences and NumPy arrays are indexed when the item's task is sent: a lazy sequence stays lazy, and must not
        change before the plan has run. Generators and whatever else has no length, async ones too, are read while the
        plan runs, as there is room. Other iterables are made lists.
    starred : bool
        Whether each item holds the arguments of a call.
    **options
        See :class:`StageOptions`.

    Raises
    ------
    OptionError
        If there are no items, their lengths differ, or an option is unknown or cannot be.
    """
    if not items:
        raise OptionError("map needs at least one sequence of items after the function")
    kernel = StarredCall if starred else FunctionCall
    if any(is_stream(source) for source in items):
        given = (Items(ItemStream(items)),)
        late = as_many_as_items()
        return _stage(
            function, options, operation="map", shape=(0,), inputs=given, late=late, kernel=kernel
        )
    values = [as_sequence(sequence) for sequence in items]
    lengths = [len(sequence) for sequence in values]
    if len(set(lengths)) > 1:
        raise OptionError(f"the sequences of items must be of equal length, not {lengths}")
    inputs = tuple(Items(sequence) for sequence in values)
    return _stage(
        function, options, operation="map", shape=(lengths[0],), inputs=inputs, kernel=kernel
    )


def call_stage(
    function: Callable[..., Any], *arguments: Any, **options: Unpack[StageOptions]
) -> Stage:
    """Return the single task that calls ``function`` with ``arguments``."""
    inputs = tuple(Items((argument,)) for argument in arguments)
    return _stage(function, options, operation="call", shape=(), inputs=inputs)


def each_stage(
    previous: Stage, function: Callable[..., Any], free_name: FreeName, options: StageOptions
) -> Stage:
    """Return the stage that calls ``function`` with each item of the value of ``previous``, a single task.

    Its name is what ``free_name`` makes of the function's, unless it is among the options.
    """
    if previous.shape:
        raise OptionError(
            f"then_each() goes through one value, and stage {previous.name!r} puts out one for each of its tasks: "
            f"use then() to go on from each of them, or make one value of them first with reduce()"
        )
    return _stage(
        function,
        options,
        operation="map",
        shape=(0,),
        inputs=(Read(previous.name, All((), (0,)), item=True),),
        free_name=free_name,
        late=sized_by(previous.name),
    )


def then_stage(
    previous: Stage, function: Callable[..., Any], free_name: FreeName, options: StageOptions
) -> Stage:
    """Return the stage that calls ``function`` with each value of ``previous``.

    Its name is what ``free_name`` makes of the function's, unless it is among the options.
    """
    inputs = (Read(previous.name, identity(previous.shape)),)
    return _stage(
        function,
        options,
        operation="map",
        shape=previous.shape,
        inputs=inputs,
        free_name=free_name,
        late=following(previous, along=previous),
    )


def reduce_stage(
    previous: Stage, function: Callable[..., Any], free_name: FreeName, options: StageOptions
) -> Stage:
    """Return the single task that calls ``function`` with the list of all values of ``previous``.

    Its name is what ``free_name`` makes of the function's, unless it is among the options.
    """
    inputs = (Read(previous.name, All(previous.shape, ()), many=True),)
    return _stage(
        function,
        options,
        operation="reduce",
        shape=(),
        inputs=inputs,
        free_name=free_name,
        late=following(previous),
    )


def kernel_stage(
    kernel: Kernel,
    name: str,
    options: StageOptions,
    *,
    operation: str,
    shape: Shape,
    inputs: tuple[Read | Items, ...],
    late: LateSize | None = None,
) -> Stage:
    """Return the stage called ``name`` of tasks that call ``kernel``, with ``options`` of a stage of functions.

    Raises
    ------
    OptionError
        If an option is unknown or cannot be.
    """
    check_option_names(options)
    checked_name(name, of="a stage")
    resources, memory = resources_of(options, f"stage {name!r}: ")
    policies = {key: options.get(key) for key in ("retry", "timeout", "straggler")}
    labels = options.get("labels")
    try:
        limit = limit_of(options.get("max_at_once"), options.get("max_per_second"))
        cache = _cache(options.get("cache"))
        projected = parse_bytes(0 if memory is None else memory, what="memory")
    except OptionError as error:
        raise OptionError(f"stage {name!r}: {error}") from error
    return Stage(
        name=name,
        kernel=kernel,
        shape=shape,
        inputs=inputs,
        operation=operation,
        memory=Memory(projected_bytes=projected),
        resources=resources,
        overrides={key: policy for key, policy in policies.items() if policy is not None},
        idempotent=options.get("idempotent", True),
        limit=limit,
        labels=checked_labels(f"stage {name!r}: ", () if labels is None else labels),
        on_failure=options.get("on_failure", "fail"),
        takes_missing=options.get("takes_missing", False),
        priority=options.get("priority", 0),
        cache=cache,
        late=late,
        concurrency=options.get("concurrency"),
    )


def _stage(
    function: Callable[..., Any],
    options: StageOptions,
    *,
    operation: str,
    shape: Shape,
    inputs: tuple[Read | Items, ...],
    free_name: FreeName = str,
    late: LateSize | None = None,
    kernel: Callable[[Callable[..., Any]], FunctionCall] = FunctionCall,
) -> Stage:
    if not callable(function):
        raise OptionError(f"{function!r} cannot be called: give a function")
    _refuse_arguments(function, options)
    given = options.get("name")
    name = free_name(_name_of(function, default=operation)) if given is None else given
    return kernel_stage(
        kernel(function),
        name,
        options,
        operation=operation,
        shape=shape,
        inputs=inputs,
        late=late,
    )


def _refuse_arguments(function: Callable[..., Any], options: Iterable[str]) -> None:
    """Raise an OptionError where an option that is none is an argument of ``function``."""
    unknown = [name for name in options if name not in StageOptions.__annotations__]
    if not unknown:
        return
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # It is not known.
        return
    for name in unknown:
        if name in parameters:
            called = _name_of(function, default="function")
            raise OptionError(
                f"there is no option {name!r}, but {called}() has a parameter of that name: give it the argument by "
                f"functools.partial({called}, {name}=...)"
            )


def _cache(cache: object) -> str:
    if cache in (None, False, ""):
        return ""
    if cache != "inputs":
        raise OptionError(f"cache={cache!r} is nothing to cache by: it is 'inputs', or left out")
    return "inputs"


def _name_of(function: Callable[..., Any], *, default: str) -> str:
    """Return the name of ``function``, or ``default`` where it has none (a lambda, a partial)."""
    name = getattr(function, "__name__", "")
    return default if name in ("", "<lambda>") else str(name)
