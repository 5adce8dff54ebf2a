"""The options of a run, declared once: whatever runs plans takes them by keyword, as ``**options: Unpack[RunOptions]``.

A new option is a key of :class:`RunOptions` and, unless the engine itself needs it, a field of
:class:`~asyncexec.scheduler.run_policies.RunPolicies` of the same name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypedDict

from asyncexec.config.fields import refuse_unknown

if TYPE_CHECKING:
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
_OF_AN_EXECUTOR = "options of the executor are given as executor_options={{{!r}: ...}}; "


def policy_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of ``options`` that are policies of the run.

    Raises
    ------
    OptionError
        If one of them is none of :class:`RunOptions`; the message has the nearest that is.
    """
    refuse_unknown(
        options, RunOptions.__annotations__, "the options of a run", otherwise=_OF_AN_EXECUTOR
    )
    return {name: value for name, value in options.items() if name not in _OF_THE_ENGINE}
