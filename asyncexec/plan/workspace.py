"""The workspace of a run, where a plan's chunks live: the interface between the scheduler and storage.

All methods may block and are called in a worker thread, except ``release``, which is called on the event loop and must
only take note. The workspace itself finds out which tasks are complete (by the chunks that are there, say).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from asyncexec.plan.locality import Locality

if TYPE_CHECKING:
    from asyncexec.plan.stage import Stage, TaskIO


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """Under which conditions a workspace is opened.

    Attributes
    ----------
    plan : str
        Name of the plan.
    fingerprint : str
        What the plan computes as a hash, where ``resume`` asks for it; else it may be empty.
    execution : str
        Name of the run; run-scoped places are named after it.
    locality : Locality
        The place of the workers: in the driver's process, chunks may be handed over in memory.
    resume : bool
        Whether what an earlier run of the same plan completed is to be kept.
    """

    plan: str
    fingerprint: str
    execution: str
    locality: Locality = Locality.ELSEWHERE
    resume: bool = False


class OpenWorkspace(Protocol):
    """A workspace during one run."""

    def size(self, stage: Stage) -> None:
        """Make ready what a late stage needs, now that its size is known; called before all else about that stage.

        Raises
        ------
        StorageError
            If what it writes cannot be made.
        """
        ...

    def io(self, stage: Stage) -> TaskIO | None:
        """Return how tasks of ``stage`` load and save; None where they take and put out values."""
        ...

    def done(self, stage: Stage) -> Sequence[range]:
        """Return the tasks (flat index ranges) that need not run, because their chunks are complete."""
        ...

    def releases(self, stage: Stage) -> bool:
        """Return True if :meth:`release` is wanted for the chunks of ``stage``."""
        ...

    def release(self, stage: str, tasks: Sequence[int]) -> None:
        """Take note that every reader of these tasks' chunks is complete."""
        ...

    def collect(self, values: Mapping[str, list[Any]]) -> Any:
        """Return what ``Result.value`` shall be, after success. ``values`` holds the plan's value outputs by stage."""
        ...

    def close(self, *, succeeded: bool) -> None:
        """Remove what was made for this run alone."""
        ...


class Workspace(Protocol):
    """A plan's storage, before a run."""

    def open(self, stages: Sequence[Stage], opening: Opening) -> OpenWorkspace:
        """Make ready what the run needs, so that what cannot work fails here, before anything runs.

        Raises
        ------
        StorageError
            If an array is missing, a target exists, or a place cannot be written.
        """
        ...
