"""The policies of a run, resolved stage by stage."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from inspect import iscoroutinefunction
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Self

from asyncexec.config.checks import duration, flag, size_or_zero
from asyncexec.errors import OptionError
from asyncexec.plan.given_numbers import as_whole_number
from asyncexec.plan.memory import parse_bytes
from asyncexec.policies.retry import Retry, as_retry
from asyncexec.policies.timeout import Timeout, as_timeout
from asyncexec.storage.places.options import StorageOptions
from asyncexec.straggler.names import as_rule
from asyncexec.straggler.rule import Rule
from asyncexec.worker.values import THRESHOLD_BYTES

if TYPE_CHECKING:
    from asyncexec.plan.stage import Stage


def as_initializer(value: Any) -> Callable[..., object]:
    """Return the initializer of workers from a function or its dotted path (``"package.module:function"``)."""
    function: Any = value
    if isinstance(value, str):
        try:
            function = resolve_name(value)
        except (ImportError, AttributeError, ValueError) as error:
            raise OptionError(f"initializer {value!r} cannot be imported: {error}") from error
    if not callable(function) or iscoroutinefunction(function):
        raise OptionError(
            f"initializer must be a plain function, or the dotted path of one (package.module:function), not {value!r}"
        )
    found: Callable[..., object] = function
    return found


def as_initargs(value: Any) -> tuple[Any, ...]:
    """Return the arguments of the initializer."""
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise OptionError(f"initargs must be a tuple of the initializer's arguments, not {value!r}")
    return tuple(value)


_POLICIES = ("retry", "timeout", "straggler")


def _priority(value: object) -> int:
    priority = as_whole_number(value)
    if priority is None:
        raise OptionError(
            f"priority must be a whole number (a higher one goes first; 0 by default), not {value!r}"
        )
    return priority


def _place(value: object, *, where: str) -> object:
    """Return ``value``, which is opened later, unless it can be no place."""
    if isinstance(value, int | float | bytes | list | tuple | set):
        raise OptionError(f"{where} must be a path, an URL or a store, not {value!r}")
    return value


_READ: Mapping[str, Callable[[Any], Any]] = {
    "retry": as_retry,
    "timeout": as_timeout,
    "straggler": as_rule,
    "barriers": partial(flag, where="barriers"),
    "resume": partial(flag, where="resume"),
    "priority": _priority,
    "value_threshold": partial(size_or_zero, where="value_threshold"),
    "storage_options": StorageOptions,
    "work_dir": partial(_place, where="work_dir"),
    "cache_dir": partial(_place, where="cache_dir"),
    "keep_values": partial(flag, where="keep_values"),
    "cache_bytes": partial(parse_bytes, what="cache_bytes"),
    "cache_seconds": partial(duration, where="cache_seconds"),
    "log_to_driver": partial(flag, where="log_to_driver"),
    "initializer": as_initializer,
    "initargs": as_initargs,
}
"""What makes a policy of a value as users write it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPolicies:
    """Policies of one run (or, resolved by :meth:`for_stage`, of one stage).

    Attributes
    ----------
    retry, timeout, straggler
        The policies for attempts that fail, take too long, or take longer than others.
    barriers : bool
        Whether a stage waits until those it reads are complete.
    one_stage_at_a_time : bool
        Whether a stage also waits for those it does not read.
    most_in_flight : int or None
        The most attempts that may be with the backend at once, whatever its slots.
    resume : bool
        Whether to keep the tasks that an earlier run completed.
    priority : int
        Of the runs of an engine, those of higher priority are served first.
    value_threshold : int
        The bytes from which values stay near the workers, where the backend keeps any; 0 has all values travel.
    work_dir, storage_options
        The place of what a run keeps, and the options it is opened with.
    keep_values : bool
        Whether the values in ``work_dir`` stay after a run that has succeeded.
    cache_dir, cache_bytes, cache_seconds
        The place of cached results, and what it is bounded by at the end of a run.
    initializer, initargs
        The function that every worker calls once, and its arguments.
    log_to_driver : bool
        Whether what tasks in other processes log and print is passed on to this process's logging.
    """

    retry: Retry
    timeout: Timeout
    straggler: Rule
    barriers: bool = False
    one_stage_at_a_time: bool = False
    most_in_flight: int | None = None
    resume: bool = False
    priority: int = 0
    value_threshold: int = THRESHOLD_BYTES
    work_dir: Any = None
    storage_options: StorageOptions = field(default_factory=StorageOptions)
    keep_values: bool = False
    cache_dir: Any = None
    cache_bytes: int | None = None
    cache_seconds: float | None = None
    log_to_driver: bool = True
    initializer: Callable[..., object] | None = None
    initargs: tuple[Any, ...] = ()

    @classmethod
    def of(
        cls,
        *,
        retry: Any = None,
        timeout: Any = None,
        straggler: Any = None,
        barriers: bool = False,
    ) -> Self:
        """Return policies from values as users write them (``retry=6``, ``timeout=30.0``, ``straggler="off"``)."""
        return cls(
            retry=as_retry(retry),
            timeout=as_timeout(timeout),
            straggler=as_rule(straggler),
            barriers=barriers,
        )

    def override(self, **options: Any) -> Self:
        """Return these policies with those that are given, as users write them, and not None replaced."""
        given = {name: value for name, value in options.items() if value is not None}
        read = {n: _READ[n](v) if n in _READ else v for n, v in given.items()}
        return replace(self, **read) if read else self

    def for_stage(self, stage: Stage) -> Self:
        """Return the policies of ``stage``: its own overrides, and those of the run otherwise.

        Raises
        ------
        OptionError
            If the stage overrides something else than a policy.
        """
        unknown = sorted(stage.overrides.keys() - set(_POLICIES))
        if unknown:
            raise OptionError(
                f"stage {stage.name!r} overrides {unknown}; known: {', '.join(_POLICIES)}"
            )
        return self.override(**stage.overrides) if stage.overrides else self
