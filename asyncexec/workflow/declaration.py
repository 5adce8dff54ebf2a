"""The decorator ``@stage``, which says how a function runs as a stage of a workflow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Unpack, overload

from asyncexec.errors import OptionError
from asyncexec.workflow.stage_spec import StageDeclaration, StageSpec, declare


@overload
def stage[F: Callable[..., Any]](function: F, /) -> F: ...


@overload
def stage[F: Callable[..., Any]](**options: Unpack[StageDeclaration]) -> Callable[[F], F]: ...


def stage(function: Any = None, /, **options: Any) -> Any:
    """Declare a function to be a stage of workflows.

    The function itself stays as it is: it can be called, tested and pickled as any other.

    >>> from asyncexec.workflow import stage
    >>> @stage(map_on="cities", retry=3, timeout=60, resources={"memory": "2GB", "cpus": 1})
    ... def fetch(city):
    ...     return f"data of {city}"
    >>> fetch("Utrecht")
    'data of Utrecht'

    Parameters
    ----------
    function : callable
        Plain or ``async``, where the decorator is written without brackets.
    **options
        See :class:`~asyncexec.workflow.stage_spec.StageDeclaration` and
        :class:`~asyncexec.plan.stage_options.StageOptions`.

    Raises
    ------
    OptionError
        If an option is unknown (the message has the nearest name), or is not what it must be; or if the function
        cannot be decorated, as it is built into Python.
    """
    if function is None:
        return lambda decorated: _declared(decorated, options)
    return _declared(function, options)


def _declared(function: Any, options: Mapping[str, Any]) -> Any:
    spec = StageSpec.of(function, **options)
    try:
        declare(function, spec)
    except AttributeError:
        raise OptionError(
            f"stage {spec.name!r}: {function!r} cannot be decorated; put StageSpec.of({spec.name}, ...) into the "
            f"workflow"
        ) from None
    return function
