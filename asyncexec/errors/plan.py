"""Errors of plans, before anything runs, and of sizes that are found during the run."""

from __future__ import annotations

from asyncexec.errors.base import AsyncexecError


class PlanError(AsyncexecError, ValueError):
    """The plan is wrong; nothing has run."""


class CycleError(PlanError):
    """Stages read each other in a circle."""


class DuplicateStageError(PlanError):
    """Two stages have one name."""


class UnknownInputError(PlanError):
    """A stage reads from a stage that the plan does not have."""


class RelationError(PlanError):
    """A relation does not fit the index spaces it stands between."""


class WriteConflictError(PlanError):
    """Two tasks would write one chunk (or one shard)."""


class StageSizeError(PlanError):
    """The size of a stage, which other stages were to give during the run, could not be found."""


class WiringError(PlanError):
    """A workflow's stages and inputs do not fit the parameters of its functions."""


class WorkflowFileError(PlanError):
    """A file does not define a workflow; the message holds all its problems, a line each."""


class WorkflowInputError(PlanError):
    """An input of a workflow is missing, or is none that it has, or cannot be mapped over."""


class MemoryBudgetError(PlanError):
    """A task is projected to need more memory than it is allowed."""
