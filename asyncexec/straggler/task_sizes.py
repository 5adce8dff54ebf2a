"""The relative sizes of a stage's tasks, where chunks differ: those at an edge of an array are smaller.

Durations are compared after scaling to whole tasks, so that an edge does not look fast, nor a whole chunk among many
edges slow. The bytes that a task reads and writes are known in closed form before it runs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from asyncexec.events.outcome import Status
from asyncexec.plan.box import unravel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncexec.events.outcome import Outcome
    from asyncexec.plan.box import Index, Shape
    from asyncexec.straggler.task_drift import TaskDrift
    from asyncexec.straggler.watched import WatchedAttempt

LEAST, MOST = 0.5, 2.0
"""The bounds of relative sizes: most of a small task's time is what any task costs, whatever it reads."""

_MOST_KNOWN = 100_000
# A task whose backup did not win is to be so many times as old before it has another.
_AFTER_VAIN = 1.5


@runtime_checkable
class SizedIO(Protocol):
    """A :class:`~asyncexec.plan.stage.TaskIO` that knows the bytes that each task reads and writes."""

    def nbytes(self, index: Index) -> int:
        """Return the bytes (uncompressed) that the task reads and writes."""
        ...


class TaskSizes:
    """The sizes of one stage's tasks, as shares of a whole one's.

    Parameters
    ----------
    io : SizedIO
    shape : tuple of int
        The stage's index space.
    whole_bytes : int
        The bytes that a whole task reads and writes.
    """

    def __init__(self, io: SizedIO, shape: Shape, whole_bytes: int) -> None:
        self._io = io
        self._shape = shape
        self._whole_bytes = whole_bytes
        self._known: dict[int, int] = {}

    def of(self, task: int) -> float:
        """Return the share of a task, from ``LEAST`` to ``MOST``."""
        return self.of_bytes(self.bytes_of(task))

    def bytes_of(self, task: int) -> int:
        """Return the bytes that a task reads and writes."""
        nbytes = self._known.get(task)
        if nbytes is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            nbytes = self._known[task] = self._io.nbytes(unravel(task, self._shape))
        return nbytes

    def of_bytes(self, nbytes: int) -> float:
        """Return the share of a task that has read and written so many bytes."""
        return min(max(nbytes / self._whole_bytes, LEAST), MOST)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowThreshold:
    """The age at which each task is slow, scaled from a rule's threshold, which is for whole tasks.

    Attributes
    ----------
    seconds : float
        The threshold for a whole task.
    floor_seconds : float
        No task is slow before this age, however small, unless whole ones are.
    sizes : TaskSizes or None
        The relative sizes of tasks; None where all are the same.
    drift : TaskDrift
        The drift of durations along the stage.
    """

    seconds: float
    floor_seconds: float
    sizes: TaskSizes | None
    drift: TaskDrift

    @property
    def least(self) -> float:
        """The age in seconds below which no task of the stage is slow."""
        return self._scaled((1.0 if self.sizes is None else LEAST) * self.drift.least)

    def of_task(self, task: int) -> float:
        """Return the age in seconds beyond which a task is slow."""
        return self._scaled(share_of(task, self.sizes, self.drift))

    def of_attempt(self, attempt: WatchedAttempt) -> float:
        """Return the age beyond which an attempt's task gets a backup: later after each that was given up."""
        record, age = attempt.task_record, self.of_task(attempt.task)
        return age if record is None else age * _AFTER_VAIN**record.vain_backups

    def _scaled(self, share: float) -> float:
        if share == 1.0:
            return self.seconds
        return max(min(self.floor_seconds, self.seconds), self.seconds * share)


def whole_seconds(outcome: Outcome, task: int, sizes: TaskSizes | None) -> float:
    """Return the duration of an attempt, scaled to a whole task."""
    if sizes is None:
        return outcome.seconds
    nbytes = outcome.read_bytes + outcome.written_bytes
    # An attempt that was stopped may have written nothing yet, and not every backend reports bytes.
    measured = nbytes and outcome.status is Status.SUCCEEDED
    return outcome.seconds / (sizes.of_bytes(nbytes) if measured else sizes.of(task))


def share_of(task: int, sizes: TaskSizes | None, drift: TaskDrift) -> float:
    """Return the duration to expect of a task, as a share of those that are known, by its size and its index."""
    return drift.of(task) if sizes is None else sizes.of(task) * drift.of(task)


def sizes_of(io: object, shape: Shape) -> TaskSizes | None:
    """Return the sizes of a stage's tasks; None where all are the same, or its IO does not know them."""
    if io is None or not isinstance(io, SizedIO) or not math.prod(shape):
        return None
    probed = {io.nbytes(index) for index in _probes(shape)}
    whole = max(probed)
    return TaskSizes(io, shape, whole) if whole > min(probed) else None


def _probes(shape: Shape) -> Iterator[Index]:
    """Yield tasks among which some differ, if any do: both ends, the middle, and the far end of each axis."""
    yield (0,) * len(shape)
    yield tuple([n // 2 for n in shape])
    yield tuple([n - 1 for n in shape])
    for axis, n in enumerate(shape):
        yield tuple([n - 1 if a == axis else 0 for a in range(len(shape))])
