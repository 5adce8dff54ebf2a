"""Errors of the run of a plan as a whole: its limits, its items, the values that it keeps."""

from __future__ import annotations

from asyncexec.errors.base import AsyncexecError


class ExecutionError(AsyncexecError, RuntimeError):
    """The run of a plan failed.

    Attributes
    ----------
    plan, stage : str
        Names of the plan and the stage; ``""`` where the error is of none.
    """

    def __init__(self, *arguments: object, plan: str = "", stage: str = "") -> None:
        super().__init__(*arguments)
        self.plan = plan
        self.stage = stage


class RetryBudgetError(ExecutionError):
    """So many attempts of one plan failed that going on is pointless."""


class CircuitOpenError(ExecutionError):
    """The backend failed everything sent to it for a while, also after pauses."""


class InputError(ExecutionError):
    """The sequence, generator or the like that gives a stage its items failed; its own error is the ``__cause__``.

    Attributes
    ----------
    plan, stage : str
    item : int
        The number of the item that did not come, from 0.
    """

    def __init__(self, message: str, *, plan: str = "", stage: str = "", item: int = 0) -> None:
        super().__init__(message, plan=plan, stage=stage)
        self.item = item


class StageTimeoutError(ExecutionError):
    """A stage ran longer than its timeout, of ``limit_seconds``."""

    limit_seconds: float | None = None


class PlanTimeoutError(ExecutionError):
    """The plan ran longer than its timeout, of ``limit_seconds``."""

    limit_seconds: float | None = None


class ValueLostError(ExecutionError):
    """The value of a task, which had this ``handle``, is gone from where it was kept for the tasks that read it."""

    def __init__(self, message: str, handle: object = None) -> None:
        super().__init__(message)
        self.handle = handle


class StalledError(ExecutionError):
    """Work is left, nothing runs, and nothing can be started."""
