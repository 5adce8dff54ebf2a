"""The context of the run, with the fields that Flowdapt gives it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asyncexec.integrations.flowdapt.execution import WorkflowRun
from asyncexec.worker import task_context

__all__ = ["WorkflowRunContext", "get_run_context"]


class WorkflowRunContext:
    """The context of the task that runs; what :class:`asyncexec.RunContext` has, it has too.

    Attributes
    ----------
    run : WorkflowRun
        As it was at the start.
    definition : mapping
        The definition of the workflow, as its file has it.
    """

    def __init__(self, context: task_context.RunContext) -> None:
        self._context = context
        self.definition: Mapping[str, Any] = context.extras.get("definition", {})
        self.run = WorkflowRun(
            workflow=context.workflow, name=context.run_name, state="running", uid=context.run_id
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def __repr__(self) -> str:
        return repr(self._context)


def get_run_context() -> WorkflowRunContext:
    """Return the context of the task that runs; a UsageError (a RuntimeError) where none runs."""
    return WorkflowRunContext(task_context.get_run_context())
