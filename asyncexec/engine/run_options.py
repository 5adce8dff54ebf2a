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
    from asyncexec.straggler.rule import Rule

    type AnyObserver = Observer | Callable[[AnyEvent], object]


class RunOptions(TypedDict, total=False):
    """Options of one run; all may be left out, and None leaves what the engine says.

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
    resume : bool
        Whether to keep the chunks that an earlier run of the same plan completed.
    value_threshold : int or str
        The size from which values stay near the workers, instead of passing through the driver (64 kB by default); 0
        has all values travel.
    """

    retry: Retry | int | bool | None
    timeout: Timeout | float | None
    straggler: Rule | str | bool | None
    barriers: bool | None
    observers: Iterable[AnyObserver]
    resume: bool | None
    value_threshold: int | str | None


_OF_THE_ENGINE = frozenset({"observers"})


def policy_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of ``options`` that are policies of the run.

    Raises
    ------
    OptionError
        If one of them is none of :class:`RunOptions`; the message has the nearest that is.
    """
    refuse_unknown(options, RunOptions.__annotations__, "the options of a run")
    return {name: value for name, value in options.items() if name not in _OF_THE_ENGINE}
