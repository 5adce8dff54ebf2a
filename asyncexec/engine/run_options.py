"""The options of a run, declared once: whatever runs plans takes them by keyword, as ``**options: Unpack[RunOptions]``.

A new option is a key of :class:`RunOptions` and, unless the engine itself needs it, a field of
:class:`~asyncexec.scheduler.run_policies.RunPolicies` of the same name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

from asyncexec.backends.registry import executors_with, option_names
from asyncexec.config.fields import nearest
from asyncexec.errors import UnknownOptionError

if TYPE_CHECKING:
    from asyncexec.backends.registry import ExecutorLike
    from asyncexec.events.observer import Observer
    from asyncexec.events.records import AnyEvent
    from asyncexec.policies.retry import Retry
    from asyncexec.policies.timeout import Timeout
    from asyncexec.storage.places.locations import PlaceLike
    from asyncexec.straggler.rule import Rule

    type AnyObserver = Observer | Callable[[AnyEvent], object]


class KeepingOptions(TypedDict, total=False):
    """The places in which a run keeps values: options of a run, and of an engine.

    Attributes
    ----------
    work_dir : path, URL or location
        The place of the values that a run keeps: a directory, or a prefix of an object store, that all workers reach.
        Arrays have a ``work_dir`` of their own, in their ``Spec``.
    storage_options : mapping
        What ``work_dir`` and ``cache_dir`` are opened with, where they are URLs; never shown.
    keep_values : bool
        Whether the values in ``work_dir`` stay after a run with ``resume`` that has succeeded.
    cache_dir : path, URL or location
        The place of the results of stages with ``cache="inputs"``; by default, in ``work_dir``.
    cache_bytes, cache_seconds
        At the end of a run, the results that were not used for so long are removed from the cache, and then those that
        were not used for longest, until it is no larger.
    """

    work_dir: PlaceLike | None
    storage_options: Mapping[str, Any] | None
    keep_values: bool | None
    cache_dir: PlaceLike | None
    cache_bytes: int | str | None
    cache_seconds: float | None


class SharedOptions(KeepingOptions, total=False):
    """Options of a run that an engine takes for all its runs, those of :class:`KeepingOptions` among them.

    Attributes
    ----------
    log_to_driver : bool
        Whether log records, warnings and printed lines of tasks in other processes reach this process's logging (they
        do, by default).
    initializer : callable or str
        A plain function that every worker calls once, before its first task: each process, or each thread where tasks
        run in threads of this process. If it raises, the run ends with ``WorkerInitializerError``. A dotted path will
        do (``"package.module:function"``).
    initargs : iterable
        Its arguments.
    """

    log_to_driver: bool | None
    initializer: Callable[..., object] | str | None
    initargs: Iterable[Any] | None


class RunOptions(SharedOptions, total=False):
    """Options of one run; all may be left out, and None leaves what the engine says.

    Those of :class:`SharedOptions` are among them.

    Attributes
    ----------
    retry
        The retry policy: a ``Retry``, a number of attempts, or False for one attempt.
    timeout
        A number of seconds for each task, from its start on a worker, or a ``Timeout`` for tasks, stages, plan.
    straggler
        The rule for backups of slow tasks: ``"two_phase"``, ``"off"`` or a ``Rule``.
    barriers : bool
        Whether stages wait for each other as a whole.
    observers : iterable of Observer or callable
        Receive this run's events, as the engine's own observers do.
    priority : int
        Of executions that share the engine, those with a higher number get slots, memory and resources first; equals
        take turns. 0 by default.
    resume : bool
        Whether to keep what an earlier run of the same plan completed: the chunks of arrays, and the values of
        functions, which then are kept in ``work_dir``.
    value_threshold : int or str
        The size from which values stay near the workers, instead of passing through the driver (64 kB by default); 0
        has all values travel.
    """

    retry: Retry | int | bool | None
    timeout: Timeout | float | None
    straggler: Rule | str | bool | None
    barriers: bool | None
    observers: Iterable[AnyObserver] | None
    resume: bool | None
    priority: int | None
    value_threshold: int | str | None


_OF_THE_ENGINE = frozenset({"observers"})
ENGINE_OPTIONS = frozenset(
    {
        "cluster_memory",
        "executor",
        "executor_options",
        "limits",
        "memory",
        "object_store",
        "resources",
        "value_memory",
    }
)
"""The arguments of an engine that a run has not."""
OF_ONE_RUN = frozenset({"priority", "resume", "value_threshold"})
"""The options of a run that an engine is not made for, although it takes them."""
_FEW = 4


def policy_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of ``options`` that are policies of the run.

    Raises
    ------
    UnknownOptionError
        If one of them is none of :class:`RunOptions`; the message says where it goes, or the nearest that is.
    """
    check_run_options(options, "a run")
    return {name: value for name, value in options.items() if name not in _OF_THE_ENGINE}


def check_run_options(options: Iterable[str], taker: str, *, also: Iterable[str] = ()) -> None:
    """Raise UnknownOptionError unless all are names of :class:`RunOptions`, or of ``also``.

    ``taker`` is the call that was given them, as users write it.
    """
    known = (*also, *RunOptions.__annotations__)
    for name in options:
        if name not in known:
            raise _unknown_option(name, taker, known)


def check_engine_options(options: Iterable[str], executor: ExecutorLike, taker: str) -> None:
    """Raise UnknownOptionError unless all are options of an engine; ``taker`` is the call that was given them."""
    taken = {*ENGINE_OPTIONS, *RunOptions.__annotations__}
    for name in options:
        if name not in taken:
            known = sorted(ENGINE_OPTIONS | {*RunOptions.__annotations__} - OF_ONE_RUN)
            raise _unknown_option(name, taker, known, option_names(executor))


def _unknown_option(
    name: str, taker: str, known: Sequence[str], of_executor: Collection[str] = ()
) -> UnknownOptionError:
    """Return the error for an option that ``taker`` does not take, with the place where it belongs."""
    hint = _belongs(name, known, of_executor)
    return UnknownOptionError(f"{taker} has no option {name!r}{hint}. It takes {', '.join(known)}")


def _belongs(name: str, known: Sequence[str], of_executor: Collection[str]) -> str:
    if name in ENGINE_OPTIONS and name not in known:
        return f"; it belongs to the engine: Engine({name}=...)"
    takers = executors_with(name)
    if not takers and (near := nearest(name, known)):
        return f" (did you mean {near[0]!r}?)"
    few = f" ({', '.join(takers)})" if 0 < len(takers) <= _FEW else ""
    given = f"executor_options={{{name!r}: ...}}"
    where = given if "executor_options" in known else f"to the engine: Engine({given})"
    meant = "" if takers else "".join(f" ({near}, perhaps)" for near in nearest(name, of_executor))
    return f"; options of the executor{few} are given {'as ' * (where is given)}{where}{meant}"
