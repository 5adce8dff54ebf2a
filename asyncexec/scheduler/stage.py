"""One stage of one run: its queue, its figures, and the records of its tasks and attempts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from asyncexec.events.records import Attempt
from asyncexec.policies.poison import PoisonWatch
from asyncexec.policies.timeout import HANG_FLOOR_SECONDS
from asyncexec.scheduler.lazy_slots import drop, lazy, lazy_slots
from asyncexec.straggler.worker_watch import WorkerWatch, rests_workers

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from asyncexec.backends.contract import StageProgram
    from asyncexec.events.stage_result import StageResult
    from asyncexec.plan.stage import Stage
    from asyncexec.scheduler.graph import Edge
    from asyncexec.scheduler.readiness import StageReadiness
    from asyncexec.scheduler.reference_counts import ReferenceCounts
    from asyncexec.scheduler.run_policies import RunPolicies
    from asyncexec.scheduler.stage_parts import MakesParts, RunningParts
    from asyncexec.scheduler.throttle import Throttle


@dataclass(slots=True)
class TaskRecord:
    """The history of a task of which an attempt failed or is slow; ordinary tasks have none.

    Attributes
    ----------
    attempts : int
        The attempts that were sent.
    failures : int
        The attempts that count as failures of the task.
    alive : dict of int to AttemptRecord
        Attempts in flight by id, oldest first.
    hangs : int
        The attempts that were treated as hung.
    vain_backups : int
        The backups that were given up.
    unstarted_losses : int
        The attempts that were lost before they started, since a task of the run was last completed.
    tasks_left : int
        The tasks of the run that were not complete at the last such loss.
    shared_losses : int
        The losses of its worker while others ran there at once, each by how likely it is that this task caused it.
    killed : frozenset of str
        The workers that died while nothing but this task ran on them.
    complete : bool
        Whether an attempt has succeeded.
    """

    attempts: int = 1
    failures: int = 0
    alive: dict[int, AttemptRecord] = field(default_factory=dict)
    hangs: int = 0
    vain_backups: int = 0
    unstarted_losses: int = 0
    tasks_left: int = -1
    shared_losses: int = 0
    killed: frozenset[str] = frozenset()
    complete: bool = False


class BatchLease:
    """The share of the budget that a batch in flight holds until its attempts have ended.

    Attributes
    ----------
    stage : StageState
    left : int
        The attempts of the batch that have not ended.
    at_once : int
        How many of them may run at once: so many hold memory and resources.
    memory_bytes : int
        The memory that one of them takes.
    slot_share : float
        The share of a slot that one of them takes; 0 where the batch takes a whole slot.
    exclusive : bool
        Whether nothing else may run at the same time.
    behind : BatchLease or None
        The lease of the attempts that these follow in their batch, which holds all that the batch takes.
    """

    __slots__ = ("at_once", "behind", "exclusive", "left", "memory_bytes", "slot_share", "stage")

    def __init__(
        self,
        stage: StageState,
        left: int,
        memory_bytes: int,
        *,
        exclusive: bool,
        at_once: int = 1,
        slot_share: float = 0.0,
        behind: BatchLease | None = None,
    ) -> None:
        self.stage = stage
        self.left = left
        self.at_once = at_once
        self.memory_bytes = memory_bytes
        self.slot_share = slot_share
        self.exclusive = exclusive
        self.behind = behind

    def shrink(self, slot_share: float) -> float:
        """Have each attempt take no more than that share of a slot, where it takes one; return what that spares."""
        spared = max(0.0, self.slot_share - slot_share)
        self.slot_share -= spared
        return spared * min(self.left, self.at_once)


class AttemptRecord:
    """One attempt in flight: sent, and perhaps started.

    Attributes
    ----------
    id, task : int
        The attempt's id, and the task's flat index.
    lease : BatchLease
    task_record : TaskRecord or None
    sent : float
        The time when it was sent to the backend, by the driver's clock.
    started : float
        The time when it was reported to have started on a worker, by the driver's clock; negative before.
    worker : str
    number : int
        1 for the task's first attempt.
    backup, timed_out : bool
    given_up : bool
        True while it is being stopped, as a backup that does not win.
    event_record : Attempt or None
        The attempt as a record for events; made when the first event needs it.
    """

    # A class with slots rather than a dataclass: one is made for every attempt.
    __slots__ = (
        "backup",
        "event_record",
        "given_up",
        "id",
        "lease",
        "number",
        "sent",
        "started",
        "task",
        "task_record",
        "timed_out",
        "worker",
    )

    def __init__(self, attempt: int, task: int, lease: BatchLease, sent: float) -> None:
        self.id = attempt
        self.task = task
        self.lease = lease
        self.task_record: TaskRecord | None = None
        self.sent = sent
        self.started = -1.0
        self.worker = ""
        self.number = 1
        self.backup = False
        self.timed_out = False
        self.given_up = False
        self.event_record: Attempt | None = None

    def described(self, execution: str) -> Attempt:
        """Return the attempt as a record for events."""
        described = self.event_record
        if described is None:
            stage = self.lease.stage.stage.name
            described = self.event_record = Attempt(
                self.id, execution, stage, self.task, self.number, self.backup
            )
        return described


@lazy_slots
class StageState:
    """One stage of one run; what only attempts need is made for the first, and let go of after the last.

    Attributes
    ----------
    backups : sequence of int
        The monitor's tasks that are to get a backup.
    position, depth : int
        Its position in the plan, and the length of its longest path from a stage that reads no other.
    figures : StageResult
        The counts that the result shows, updated as attempts end.
    worker_watch : WorkerWatch or None
        The comparison of the workers by its attempts; None where slow workers are not to be left idle, and before an
        attempt has taken long.
    task_records : dict of int to TaskRecord
        The tasks of which an attempt failed or is slow, until they are complete.
    exclusive : tuple of int
        Tasks whose next attempt must run while nothing else does.
    hang_seconds : float
        The age at which an attempt was treated as hung at the last check.
    detects_hangs : bool
        Whether attempts are checked for hanging at all.
    rows : dict of int to tuple, or None
        The inputs of the tasks that are not complete, where they come from a stream of items.
    throttles : tuple of Throttle
        The limits that its attempts are under: its own, and those of its labels.
    first_at : float or None
        The time when the first attempt was sent, by the driver's clock.
    task_bytes : int
        The memory that one task takes of the budget.
    reads, readers : sequence of Edge
        The edges from the stages that it reads, and to those that read it.
    rank : tuple
        Its place among the stages of its run in the order in which their tasks are sent.
    """

    __slots__ = (
        "_maker",
        "_rests_workers",
        "backups",
        "depth",
        "detects_hangs",
        "exclusive",
        "figures",
        "first_at",
        "hang_seconds",
        "keeps_values",
        "policies",
        "position",
        "rank",
        "readers",
        "readiness",
        "reads",
        "references",
        "rows",
        "stage",
        "task_bytes",
        "task_records",
        "throttles",
        "worker_watch",
    )

    def __init__(
        self,
        maker: MakesParts[StageState, AttemptRecord],
        *,
        position: int,
        depth: int,
        stage: Stage,
        task_bytes: int,
        readiness: StageReadiness,
        policies: RunPolicies,
        reads: Sequence[Edge],
        readers: Sequence[Edge],
        references: ReferenceCounts | None,
        figures: StageResult,
    ) -> None:
        self._maker = maker
        self.backups: Sequence[int] = ()
        self.position = position
        self.depth = depth
        self.stage = stage
        self.task_bytes = task_bytes
        self.readiness = readiness
        self.policies = policies
        self.reads = reads
        self.readers = readers
        self.references = references
        self.figures = figures
        self.worker_watch: WorkerWatch[AttemptRecord] | None = None
        self._rests_workers = rests_workers(policies.straggler)
        self.task_records: dict[int, TaskRecord] = {}
        self.exclusive: tuple[int, ...] = ()
        self.hang_seconds = HANG_FLOOR_SECONDS
        timeout = policies.timeout
        self.detects_hangs = timeout.hangs and timeout.task is None and stage.idempotent
        self.keeps_values = stage.holds_values
        self.throttles: tuple[Throttle, ...] = ()
        self.rows: dict[int, tuple[Any, ...]] | None = None
        self.first_at: float | None = None
        self.rank = (-stage.priority, -depth, position)

    @property
    def name(self) -> str:
        return self.stage.name

    @property
    def tasks(self) -> int:
        return self.readiness.tasks

    @lazy
    def program(self) -> StageProgram:
        """The program of its tasks."""
        return self._maker.program(self)

    @lazy
    def running(self) -> RunningParts[AttemptRecord]:
        """The parts that only its attempts need."""
        running = self._maker.running(self)
        self.backups = running.monitor.backups
        return running

    @lazy
    def poison(self) -> PoisonWatch:
        """The workers that its tasks have lost."""
        return PoisonWatch()

    @property
    def launchable(self) -> int:
        """The number of attempts that could be sent now, if there is memory for them."""
        ready = self.readiness.queue.count if not self.readiness.gates else 0
        return ready + len(self.backups) + len(self.exclusive)

    def compare_worker(
        self,
        attempt: AttemptRecord,
        worker: str,
        seconds: float,
        now: float,
        *,
        complete: bool = True,
    ) -> None:
        """Take the duration of an attempt, scaled to a whole task, for evidence of how slow its worker is."""
        watch, lease = self.worker_watch, attempt.lease
        if watch is None:
            if not self._rests_workers:
                return
            monitor = self.running.monitor
            watch = WorkerWatch(self._maker.slow_workers, monitor.attempts, monitor.sizes)
            self.worker_watch = watch
        if watch.ranks is None and complete:
            watch.begin(self.running.monitor.typical_seconds())
        # Neighbours take alike: of those that ran on a worker in one batch, the last speaks for all.
        if lease.left and lease.at_once == 1:
            return
        watch.ended(worker, seconds, now=now, complete=complete)

    def back_up(self, task: int) -> None:
        """Queue a backup for a task."""
        self.running.monitor.backups.append(task)
        self.readiness.queue.filled()

    def run_alone(self, task: int) -> None:
        """Queue an attempt of a task that must run while nothing else does."""
        self.exclusive = (*self.exclusive, task)
        self.readiness.queue.filled()

    def take_alone(self) -> int:
        """Remove and return the first of the tasks that must run while nothing else does."""
        first, *rest = self.exclusive
        self.exclusive = tuple(rest)
        return first

    def is_suspect(self, task: int | None) -> bool:
        """Return whether a task has failed before and may fail others of its batch, so that it is sent by itself."""
        record = None if task is None else self.task_records.get(task)
        return record is not None and record.failures > 0

    def clear(self) -> None:
        """Remove all attempts that could be started."""
        self.readiness.queue.clear()
        self.exclusive = ()
        if self.backups:
            self.running.monitor.backups.clear()

    def release(self) -> None:
        """Let go of the caller's functions, items and values, and of what refers back to this; it is of no use then."""
        drop(self, StageState.running, StageState.program)
        del (
            self.backups,
            self.readiness,
            self.rows,
            self.task_records,
            self.worker_watch,
            self._maker,
        )

    def record_of(self, attempt: AttemptRecord) -> TaskRecord:
        """Return the record of the task of an attempt that runs."""
        record = attempt.task_record
        if record is None:
            record = attempt.task_record = self.task_records[attempt.task] = TaskRecord()
            # The attempt that was sent without a record, as nearly all are.
            record.alive[attempt.id] = attempt
        return record


def workers_of(stage: StageState, tasks: Iterable[int]) -> frozenset[str]:
    """Return the workers that are known to run attempts of these tasks, each of which has a record."""
    alive = (a for task in tasks for a in stage.task_records[task].alive.values())
    return frozenset(attempt.worker for attempt in alive if attempt.worker)
