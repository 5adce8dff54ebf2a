"""The figures of one stage of a run: the same record while the run goes on, in its result, and for observers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from asyncexec.events.outcome import Encoded, Status, ValueHandle

if TYPE_CHECKING:
    from asyncexec.events.outcome import Outcome
    from asyncexec.events.records import StageFigures

OWN_BYTES = 100_000_000
"""The memory that a worker holds by itself: an interpreter with its libraries."""

_SHOWN = (
    "name",
    "operation",
    "tasks",
    "completed",
    "resumed",
    "cached",
    "attempts",
    "retries",
    "backups",
    "recomputed",
    "failures",
    "read_bytes",
    "written_bytes",
    "kept_bytes",
    "spilled_bytes",
    "moved_bytes",
    "projected_bytes",
    "peak_bytes",
    "busy_seconds",
    "wall_seconds",
    "width",
    "codecs",
)


@dataclass(slots=True, kw_only=True, repr=False)
class StageResult:
    """The figures of one stage of a run, so far or at its end.

    >>> result = ax.sync.execute(ax.Plan.map(abs, range(5), name="sizes"))
    >>> stage = result.stages[0]
    >>> stage.name, stage.operation, stage.completed, stage.failures
    ('sizes', 'map', 5, 0)

    Attributes
    ----------
    name, operation : str
    tasks : int
        Their number, as far as is known.
    projected_bytes : int
        The most memory a task's process was projected to need; 0 where no projection was given.
    allowed_bytes : int or None
    late : bool
        Whether the number of tasks is not known yet, because other stages give it, or more items may come.
    completed : int
        Tasks that are complete, those of earlier runs included.
    resumed : int
        Tasks that an earlier run had completed.
    failed_tasks, skipped_tasks : int
        Of the tasks that are complete, those that failed for good and whose failure is kept, and those that were not
        run because a value that they read is missing, or whose function raised a ``SkippedError``.
    cached : int
        Tasks whose value was found in the cache, so that their function was not called (``cache="inputs"``).
    attempts : int
        Attempts that have ended, one way or another.
    failed, lost, timed_out, cancelled, abandoned : int
        Attempts that ended so.
    unstarted : int
        Attempts that ended before they started on a worker: lost with it, or cancelled while they waited.
    retries, backups : int
        Attempts that followed a failed one, and attempts that were started while a slow one was still running.
    recomputed : int
        Tasks that ran again, or run again in a run that was resumed, because what they had put out (a value, a chunk)
        was lost or damaged.
    read_bytes, written_bytes : int
        Chunk data, before encoding (uncompressed), by all attempts.
    kept_bytes, spilled_bytes, moved_bytes : int
        Values of all attempts: those that stayed near the workers, those of them that went to disk, and, as far as
        workers pickle values, those that came to the driver.
    peak_bytes : int
        The most memory measured for any attempt; 0 where it cannot be measured.
    busy_seconds : float
        Time on workers, by all attempts.
    width : int
        The tasks that a slot loads, computes and saves at once, where their arrays are in stores elsewhere.
    codecs : str
        The codecs of the chunks that are read and written without Zarr, each with the library that encodes and decodes
        it where the driver's packages are installed.
    started_at, ended_at : float
        The time when the first attempt was sent and when the last task was complete, in seconds since the epoch on the
        driver; 0.0 before.
    """

    name: str
    operation: str = ""
    tasks: int = 0
    projected_bytes: int = 0
    allowed_bytes: int | None = None
    late: bool = False
    completed: int = 0
    resumed: int = 0
    failed_tasks: int = 0
    skipped_tasks: int = 0
    cached: int = 0
    attempts: int = 0
    failed: int = 0
    lost: int = 0
    timed_out: int = 0
    cancelled: int = 0
    abandoned: int = 0
    unstarted: int = 0
    retries: int = 0
    backups: int = 0
    recomputed: int = 0
    read_bytes: int = 0
    written_bytes: int = 0
    kept_bytes: int = 0
    spilled_bytes: int = 0
    moved_bytes: int = 0
    peak_bytes: int = 0
    busy_seconds: float = 0.0
    width: int = 1
    codecs: str = ""
    started_at: float = 0.0
    ended_at: float = 0.0

    @classmethod
    def of(cls, stage: StageFigures) -> StageResult:
        """Return the figures of a stage before its first attempt."""
        return cls(
            name=stage.name,
            operation=stage.operation,
            tasks=stage.tasks,
            projected_bytes=stage.projected_bytes,
            allowed_bytes=stage.allowed_bytes,
            late=bool(stage.waits_for) or stage.grows,
        )

    @property
    def failures(self) -> int:
        """Attempts that failed, timed out or were lost."""
        return self.failed + self.lost + self.timed_out

    @property
    def wall_seconds(self) -> float:
        """The time from the first attempt sent to the last task complete; 0.0 where either is missing."""
        return (
            max(0.0, self.ended_at - self.started_at) if self.started_at and self.ended_at else 0.0
        )

    @property
    def over_memory(self) -> bool:
        """True where a task's worker has held more than the task may take, or, where nobody said so, was projected to.

        What a worker holds by itself is left out, as far as that is 100 MB.
        """
        limit = self.allowed_bytes or self.projected_bytes
        return limit > 0 and self.peak_bytes > limit + OWN_BYTES

    def add(self, outcome: Outcome) -> None:
        """Add an attempt that has ended."""
        # Unpacked at once, which costs what reading one of these by its name does.
        _, status, _, _, seconds, peak_bytes, read_bytes, written_bytes, value, _, cached, _ = (
            outcome
        )
        self.attempts += 1
        self.busy_seconds += seconds
        self.read_bytes += read_bytes
        self.written_bytes += written_bytes
        if peak_bytes > self.peak_bytes:  # noqa: PLR1730 - half the cost of max(), for every attempt
            self.peak_bytes = peak_bytes
        if status is Status.SUCCEEDED:
            kind = type(value)
            if kind is Encoded:
                self.moved_bytes += len(value[0])
            elif kind is ValueHandle:
                self._add_kept(value)
            if cached:
                self.cached += 1
            return
        self.unstarted += not outcome.started
        if status is Status.SKIPPED:
            return
        if status is Status.FAILED:
            self.failed += 1
        elif status is Status.LOST:
            self.lost += 1
        elif status is Status.TIMED_OUT:
            self.timed_out += 1
        else:
            self.cancelled += 1

    def _add_kept(self, handle: ValueHandle) -> None:
        self.kept_bytes += handle.nbytes
        self.spilled_bytes += handle.nbytes if handle.on_disk else 0

    def as_json(self) -> dict[str, Any]:
        """Return all figures in plain types."""
        return asdict(self) | {"wall_seconds": self.wall_seconds, "failures": self.failures}

    def __repr__(self) -> str:
        return f"StageResult({', '.join(f'{name}={getattr(self, name)!r}' for name in _SHOWN)})"
