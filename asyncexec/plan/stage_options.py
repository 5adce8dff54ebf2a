"""Options of a stage of plain functions; a module of its own, as workers load it with users' modules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from math import inf
from typing import Any, Literal, TypedDict

from asyncexec.errors import OptionError
from asyncexec.plan.given_numbers import as_real_number


class StageOptions(TypedDict, total=False):
    """Options of a stage of plain functions; all may be left out.

    Attributes
    ----------
    name : str
        The stage's name, unique in its plan; by default the function's own.
    retry, timeout, straggler
        Policies for this stage alone, as for :meth:`asyncexec.Engine.execute`; None for those of the run.
    resources : mapping of str to float
        The named resources that one task takes (``{"gpus": 1}``); ``memory`` may stand among them, too.
    memory : int or str
        The memory that one task is projected to need, in bytes or as text (``"2GB"``).
    idempotent : bool
        Whether an attempt may be repeated after it has started (it may, by default).
    max_at_once : int
        The most attempts of the stage that run at the same time.
    max_per_second : float
        The most attempts of the stage that start in a second, evenly spaced; see :class:`asyncexec.Limit`.
    labels : sequence of str
        The names of limits of the engine (``Engine(limits={"api": ...})``) that this stage is under, too.
    on_failure : str
        ``"keep"`` for a run that goes on when a task fails for good (after its retries): an :class:`asyncexec.Failed`
        holds the task's place in the list. ``"fail"``, the default, ends the run.
    takes_missing : bool
        Whether the function is called with a ``Failed`` where what it reads failed. By default it is not, and the
        ``Failed`` is passed on. The function of a ``reduce`` always gets the list with every ``Failed`` at its place.
    priority : float
        Of the tasks of a run that can start, those with the highest priority do so first (0 by default).
    concurrency : int
        How many tasks one slot runs at once while they await; for coroutine functions (1 by default, and as many as
        the executor lets on ``asyncio``).
    cache : str or None
        ``"inputs"`` for a function that is not called again where its code and what it is called with have not changed:
        its results are kept in the run's ``cache_dir`` (by default, in ``work_dir``), also for other plans.
    """

    name: str
    retry: Any
    timeout: Any
    straggler: Any
    resources: Mapping[str, float | str] | None
    memory: float | str | None
    idempotent: bool
    concurrency: int | None
    max_at_once: int | None
    max_per_second: float | None
    labels: Sequence[str]
    on_failure: Literal["fail", "keep"]
    takes_missing: bool
    priority: float
    cache: Literal["inputs"] | None


def check_option_names(
    options: Iterable[str], known: Iterable[str] = (), *, where: str = ""
) -> None:
    """Raise unless ``options`` are all among those of :class:`StageOptions`, or among ``known``.

    Raises
    ------
    OptionError
        If one is not; the message begins with ``where``, and has the nearest name.
    """
    names = sorted({*StageOptions.__annotations__, *known})
    for name in options:
        if name not in names:
            close = get_close_matches(name, names, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise OptionError(
                f"{where}there is no option {name!r}: {hint}the options are {', '.join(names)}"
            )


def checked_name(name: object, *, of: str) -> str:
    """Return the ``name`` of what ``of`` says, ``"a stage"`` or ``"a plan"``.

    Raises
    ------
    OptionError
        If it is no text, or empty.
    """
    if not isinstance(name, str) or not name:
        raise OptionError(f"the name of {of} must be a text of at least one letter, not {name!r}")
    return name


def resources_of(
    options: Mapping[str, Any], where: str
) -> tuple[dict[str, float], float | str | None]:
    """Return the named resources and the memory of a stage with ``options``.

    Raises
    ------
    OptionError
        If a resource is no amount, or the memory is given twice; the message begins with ``where``.
    """
    given = options.get("resources")
    given = {} if given is None else given
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        raise OptionError(f"{where}resources are a mapping of names to amounts, not {given!r}")
    resources = dict(given)
    memory = options.get("memory")
    among = resources.pop("memory", None)
    if among is not None and memory is not None and among != memory:
        raise OptionError(f"{where}memory is given twice, among the resources as well")
    for name, amount in resources.items():
        number = as_real_number(amount)
        if number is None or not 0 <= number < inf:
            raise OptionError(
                f"{where}resources[{name!r}] is a number of at least 0, not {amount!r}"
            )
        resources[name] = number
    return resources, among if memory is None else memory
