"""An observer that writes to Python's logging."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from asyncexec.events.records import (
    AnyEvent,
    AttemptAbandoned,
    AttemptEnded,
    AttemptStarted,
    BackupStarted,
    CircuitClosed,
    CircuitOpened,
    OutputLost,
    PlanCancelled,
    PlanEvent,
    PlanFailed,
    PlanStarted,
    PlanSucceeded,
    RetryScheduled,
    StageCompleted,
    StageResumed,
    StageSized,
    TaskFailed,
    TaskSucceeded,
)
from asyncexec.observers import formatting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncexec.events.records import Attempt


class Logs:
    """Logs plans and stages as information, and retries, backups, losses and failures as warnings.

    A failing stage does not flood the log: of each kind of warning, its first ``each`` are logged, then the 100th, the
    1000th, and so on.

    >>> import logging, sys
    >>> from asyncexec.observers import Logs
    >>> logger = logging.getLogger("example")
    >>> logger.setLevel(logging.INFO)
    >>> logger.addHandler(logging.StreamHandler(sys.stdout))
    >>> result = ax.sync.execute(ax.Plan.map(abs, range(4)), observers=[Logs(logger)])
    abs-1: started on threads: 1 stages, 4 tasks
    abs-1: stage abs is complete
    abs-1: succeeded

    Parameters
    ----------
    logger : logging.Logger, optional
        By default ``asyncexec.runs``.
    each : int
        The number of warnings of one kind in one stage that are logged one by one.
    """

    wants_plan_details = False

    def __init__(self, logger: logging.Logger | None = None, *, each: int = 10) -> None:
        self._logger = logger or logging.getLogger("asyncexec.runs")
        self._each = each
        # By execution, then by stage and kind of warning: their number so far.
        self._seen: dict[str, dict[tuple[str, type], int]] = {}

    def observe(self, events: Sequence[AnyEvent]) -> None:
        """Log ``events``."""
        for event in events:
            # First, as they are by far the most frequent: nothing is logged for each task.
            if isinstance(event, AttemptStarted | AttemptEnded | TaskSucceeded):
                continue
            if isinstance(event, PlanEvent):
                self._milestone(event)
            else:
                self._warning(event)

    def _milestone(self, event: PlanEvent) -> None:
        name, log = event.execution, self._logger
        match event:
            case PlanStarted():
                self._seen[name] = {}
                tasks = sum(stage.tasks for stage in event.stages)
                known = (
                    "at least "
                    if any(stage.waits_for or stage.grows for stage in event.stages)
                    else ""
                )
                log.info(
                    "%s: started on %s: %d stages, %s%d tasks",
                    name,
                    event.executor,
                    len(event.stages),
                    known,
                    tasks,
                )
            case StageSized():
                log.info("%s: stage %s has %d tasks", name, event.stage, event.tasks)
            case StageResumed():
                log.info(
                    "%s: stage %s: %d tasks were complete already", name, event.stage, event.tasks
                )
            case StageCompleted():
                log.info("%s: stage %s is complete", name, event.stage)
            case OutputLost():
                log.warning(
                    "%s: stage %s: task %d runs again: %s",
                    name,
                    event.stage,
                    event.task,
                    event.reason,
                )
            case CircuitOpened():
                log.warning(
                    "%s: %d attempts failed in a row; pausing for %s",
                    name,
                    event.failures,
                    formatting.seconds(event.pause_seconds),
                )
            case CircuitClosed():
                log.info("%s: the backend works again", name)
            case PlanSucceeded() | PlanFailed() | PlanCancelled():
                self._end(event)
            case _:
                pass

    def _end(self, event: PlanSucceeded | PlanFailed | PlanCancelled) -> None:
        self._seen.pop(event.execution, None)
        if isinstance(event, PlanFailed):
            self._logger.error("%s: failed: %s", event.execution, event.error)
        else:
            ended = "succeeded" if isinstance(event, PlanSucceeded) else "was cancelled"
            self._logger.info("%s: %s", event.execution, ended)

    def _warning(self, event: AnyEvent) -> None:
        match event:
            case RetryScheduled():
                delay = formatting.seconds(event.delay_seconds)
                self._warn(
                    event.attempt,
                    RetryScheduled,
                    f"again in {delay} ({formatting.first_line(event.reason)})",
                )
            case BackupStarted():
                age = formatting.seconds(event.running_seconds)
                self._warn(event.attempt, BackupStarted, f"backup of one that has run for {age}")
            case AttemptAbandoned():
                self._warn(event.attempt, AttemptAbandoned, "given up; it cannot be stopped")
            case TaskFailed():
                self._warn(
                    event.attempt,
                    TaskFailed,
                    f"failed for good{', and holds its place' * event.kept}: "
                    f"{formatting.first_line(event.error)}",
                )
            case _:
                pass

    def _warn(self, attempt: Attempt, kind: type, what: str) -> None:
        seen = self._seen.setdefault(attempt.execution, {})
        count = seen[attempt.stage, kind] = seen.get((attempt.stage, kind), 0) + 1
        if count > self._each and str(count).rstrip("0") != "1":
            return
        so_far = f" ({count} so far)" if count > self._each else ""
        self._logger.warning(
            "%s: stage %s, task %d, attempt %d: %s%s",
            attempt.execution,
            attempt.stage,
            attempt.task,
            attempt.number,
            what,
            so_far,
        )
