"""The setup of a run: the plan and all that it runs with, as whoever starts it has them."""

from __future__ import annotations

from contextvars import Context
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from asyncexec.straggler.duration_history import DurationHistory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from asyncexec.backends.contract import Capabilities, RunScope
    from asyncexec.plan.plan import Plan
    from asyncexec.plan.stage import Kernel, Stage
    from asyncexec.plan.workspace import OpenWorkspace
    from asyncexec.scheduler.result_store import TaskJournal
    from asyncexec.scheduler.run_policies import RunPolicies
    from asyncexec.scheduler.value_account import ValueAccount
    from asyncexec.straggler.task_sizes import SizedIO
    from asyncexec.worker.values import ValueStore

_NO_SIZES: Mapping[str, SizedIO] = MappingProxyType({})


def _nothing(stage: Stage) -> None:  # noqa: ARG001 - the form of every `around`
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSetup:
    """The plan of a run, and what it runs with.

    Attributes
    ----------
    plan : Plan
    name : str
        The execution's name; program keys begin with it.
    policies : RunPolicies
    capabilities : Capabilities
        Of the backend.
    slots : callable
        Returns the number of batches that the backend runs at once, now.
    workspace : OpenWorkspace or None
        The workspace of the chunks, for plans that have any.
    sizes : mapping of str to SizedIO
        The bytes that tasks read and write, by stage, where no workspace knows them.
    history : DurationHistory
        The durations of tasks in earlier runs.
    value_store : ValueStore or None
        The store of large values, where any are kept.
    value_account : ValueAccount or None
        The account of all values that the engine keeps there.
    journal : TaskJournal or None
        The journal of completed tasks of value stages, for a run that may be resumed.
    around : callable
        ``around(stage)`` returns what is put around the stage's kernel on workers; see ``StageProgram``.
    scope : RunScope or None
        The data of the run that tasks can ask for.
    context : Context
        The context variables of whoever started the run.
    """

    plan: Plan
    name: str
    policies: RunPolicies
    capabilities: Capabilities
    slots: Callable[[], int]
    workspace: OpenWorkspace | None = None
    sizes: Mapping[str, SizedIO] = _NO_SIZES
    history: DurationHistory = field(default_factory=DurationHistory)
    value_store: ValueStore | None = None
    value_account: ValueAccount | None = None
    journal: TaskJournal | None = None
    around: Callable[[Stage], Callable[[Kernel], Kernel] | None] = _nothing
    scope: RunScope | None = None
    context: Context = field(default_factory=Context)
