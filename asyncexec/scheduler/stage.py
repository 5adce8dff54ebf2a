"""One stage of one run: its queue, its figures, its attempts that have started."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from asyncexec.events.outcome import Outcome, Status
from asyncexec.policies.poison import PoisonWatch
from asyncexec.policies.timeout import HANG_FLOOR_SECONDS
from asyncexec.scheduler.batching import BatchSize
from asyncexec.scheduler.task_sizes import sizes_of
from asyncexec.straggler.outlook import Outlook
from asyncexec.straggler.rule import steady
from asyncexec.straggler.statistics import DurationStatistics

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from asyncexec.backends.contract import Program
    from asyncexec.plan.stage import Stage
    from asyncexec.scheduler.attempts import Running, Trouble
    from asyncexec.scheduler.lookout import Seen
    from asyncexec.scheduler.readiness import StageReadiness
    from asyncexec.scheduler.settings import Settings
    from asyncexec.scheduler.values import Retention

_TYPICAL_TASKS = 16


class StageState:
    """One stage of one run.

    Attributes
    ----------
    started : dict of int to Running
        Attempts known to run on a worker, oldest first.
    troubles : dict of int to Trouble
        The tasks of which an attempt failed or is slow, until they are complete.
    backups, alone : deque of int
        Tasks to get a backup, and tasks to be tried once more with nothing beside them.
    looked_at : float
        When its attempts were last looked at for slow ones.
    hang_seconds : float
        After how long an attempt was taken for hung then.
    watches_hangs : bool
        Whether that is done at all.
    seen : Seen or None
        What was seen then.
    experience : DurationStatistics
        How long tasks like these took, in whichever stage and run.
    statistics, completions : DurationStatistics
        How long attempts ran on their workers, as if each had been of a whole task; and how long after its first
        attempt was sent each task was complete.
    outlook : Outlook
        How long attempts would run if none were stopped.
    backups_settled, backups_won : int
        Backups that started on a worker and have ended, and those that were the first to succeed.
    sizes : TaskSizes or None
        Which tasks have less to do than a whole one; None where all are the same.
    """

    def __init__(
        self,
        *,
        position: int,
        depth: int,
        stage: Stage,
        program: Program,
        readiness: StageReadiness,
        settings: Settings,
        inputs: Callable[[int], tuple[Any, ...]],
        retention: Retention | None,
        batch: BatchSize,
        slots: Callable[[], int],
        experience: DurationStatistics,
        resumed: int = 0,
    ) -> None:
        self.position = position
        self.depth = depth
        self.stage = stage
        self.program = program
        self.readiness = readiness
        self.settings = settings
        self.inputs = inputs
        self.retention = retention
        self.batch = batch
        self.statistics = DurationStatistics()
        # Rules that look at the clock look at these as well, and others at neither.
        self.completions = None if steady(settings.straggler) else DurationStatistics()
        self.experience = experience
        self.outlook = Outlook()
        self.sizes = sizes_of(program)
        self.seen: Seen | None = None
        self.started: dict[int, Running] = {}
        self.troubles: dict[int, Trouble] = {}
        self.backups: deque[int] = deque()
        self.alone: deque[int] = deque()
        self.poison = PoisonWatch()
        self.running_backups = 0
        self.looked_at = 0.0
        self.hang_seconds = HANG_FLOOR_SECONDS
        timeout = settings.timeout
        self.watches_hangs = timeout.hangs and timeout.task is None and stage.idempotent
        self.slots = slots
        self.keeps_values = stage.holds_values
        self.first_at: float | None = None
        self.last_at: float | None = None
        # Figures for the result.
        self.resumed = resumed
        self.completed = self.attempts = self.retried = self.failed = 0
        self.backed_up = self.backups_settled = self.backups_won = 0
        self.read_bytes = self.written_bytes = self.peak_bytes = 0
        self.busy_seconds = 0.0
        self._typical = (-2 * _TYPICAL_TASKS, 0.0)

    def whole_seconds(self, outcome: Outcome, task: int) -> float:
        """Return how long an attempt would have run if its task were a whole one."""
        sizes = self.sizes
        if sizes is None:
            return outcome.seconds
        nbytes = outcome.read_bytes + outcome.written_bytes
        # What was stopped may have read its inputs and written nothing; and not every backend tells of bytes.
        told = nbytes and outcome.status is Status.SUCCEEDED
        return outcome.seconds / (sizes.of_bytes(nbytes) if told else sizes.of(task))

    def typical_seconds(self) -> float:
        """Return the median of what whole tasks took, looked up anew whenever there are a few and a tenth more."""
        count = self.statistics.count
        if count >= 1.1 * self._typical[0] + _TYPICAL_TASKS:
            self._typical = count, self.statistics.quantile(0.5)
        return self._typical[1]

    def share_experience(self) -> None:
        """Let stages that call the same function, in this run and later ones, know how long its tasks take."""
        if self.statistics.count:
            self.experience.merge(self.statistics)

    @property
    def name(self) -> str:
        return self.stage.name

    @property
    def tasks(self) -> int:
        return self.readiness.tasks

    @property
    def launchable(self) -> int:
        """How many attempts could be started now, but for memory."""
        ready = self.readiness.queue.count if not self.readiness.gates else 0
        return ready + len(self.backups) + len(self.alone)
