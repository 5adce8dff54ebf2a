"""The workspace of a run, where a plan's chunks live: the interface between the scheduler and storage.

All methods may block and are called in a worker thread, except ``release``, ``writers`` and ``holds``, which are called
on the event loop and must only look up or take note. The workspace itself finds out which tasks are complete (by the
chunks that are there, say).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from asyncexec.plan.locality import Locality

if TYPE_CHECKING:
    from asyncexec.plan.box import Index
    from asyncexec.plan.stage import Stage, TaskIO


class OpeningStoppedError(Exception):
    """The run was cancelled while its workspace was being opened; what was made for it is to be undone."""


def _go_on() -> None:
    """Return, as nobody can cancel this opening."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """The conditions that a workspace is opened under.

    Attributes
    ----------
    plan : str
        Name of the plan.
    fingerprint : str
        The plan's fingerprint, where ``resume`` is set; else it may be empty.
    execution : str
        Name of the run; run-scoped places are named after it.
    locality : Locality
        The place of the workers: in the driver's process, chunks may be handed over in memory.
    resume : bool
        Whether what an earlier run of the same plan completed is to be kept.
    memory : object or None
        The run's share of the engine's memory for intermediates (a ``RunChunks`` of storage); None without an engine.
    stop : callable
        Raises :class:`OpeningStoppedError` once the run has been cancelled, else returns. An opening calls it before
        each step that takes a while or makes something, and undoes what it has made when it raises.
    """

    plan: str
    fingerprint: str
    execution: str
    locality: Locality = Locality.ELSEWHERE
    resume: bool = False
    memory: object | None = None
    stop: Callable[[], None] = _go_on


class OpenWorkspace(Protocol):
    """A workspace during one run."""

    @property
    def notes(self) -> Sequence[str]:
        """Sentences for users on how the storage of the run was made."""
        ...

    def size(self, stage: Stage) -> None:
        """Prepare the storage of a late stage, now that its size is known; called first of all for that stage.

        Raises
        ------
        StorageError
            If an array that it writes cannot be created.
        """
        ...

    def io(self, stage: Stage) -> TaskIO | None:
        """Return the object that loads inputs and saves outputs of ``stage``; None for a stage of values."""
        ...

    def done(self, stage: Stage) -> Sequence[range]:
        """Return the tasks (flat index ranges) that need not run, because their chunks are complete."""
        ...

    def damaged(self, stage: str) -> Sequence[int]:
        """Return the tasks whose chunks :meth:`done` has found damaged, so that they run again."""
        ...

    def passes_on(self, stage: Stage) -> bool:
        """Return whether ``stage`` writes nothing but chunks that only other stages of the plan read."""
        ...

    def writers(self, array: str, chunks: Sequence[Index]) -> Sequence[tuple[str, int]]:
        """Return the tasks, by stage and flat index, that write these chunks (or shards) of the array at a place.

        Called on the event loop; empty where no stage of the plan writes that array.
        """
        ...

    def holds(self, stage: str, task: int) -> bool:
        """Return whether the chunks of a complete task have not been freed; called on the event loop."""
        ...

    def releases(self, stage: Stage) -> bool:
        """Return True if :meth:`release` is wanted for the chunks of ``stage``."""
        ...

    def release(self, stage: str, tasks: Sequence[int]) -> None:
        """Free the chunks of these tasks, as every task that reads them is complete."""
        ...

    def collect(self, values: Mapping[str, list[Any]]) -> Any:
        """Return the value of a run that succeeded; ``values`` are those of the returned stages, by name."""
        ...

    def close(self, *, succeeded: bool) -> None:
        """Remove everything that was created for this run only."""
        ...


class Workspace(Protocol):
    """A plan's storage, before a run."""

    def open(self, stages: Sequence[Stage], opening: Opening) -> OpenWorkspace:
        """Prepare the storage of a run, so that errors are raised here, before anything runs.

        Raises
        ------
        StorageError
            If an array is missing, a target exists, or a place cannot be written.
        """
        ...
