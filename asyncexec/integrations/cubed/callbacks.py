"""Cubed's callbacks, called from the engine's events."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from cubed.runtime.types import (
    ComputeEndEvent,
    OperationEndEvent,
    OperationStartEvent,
    TaskEndEvent,
)

from asyncexec.events.records import AttemptEnded, StageCompleted, StageStarted, TaskSucceeded
from asyncexec.worker.attempt import decode

if TYPE_CHECKING:
    from cubed.runtime.types import Callback

    from asyncexec.events.records import AnyEvent

logger = logging.getLogger("asyncexec")


class Callbacks:
    """Calls callbacks, in the thread that waits for the computation.

    Every task ends once, every operation starts and ends once, also in a computation that fails.
    """

    def __init__(self, callbacks: Sequence[Callback]) -> None:
        self._callbacks = tuple(callbacks)
        self._running: dict[str, float] = {}
        self._ended: AttemptEnded | None = None
        self._measured: int | None = None

    def receive(self, events: Sequence[AnyEvent]) -> None:
        """Call the callbacks for ``events``; an exception of theirs is raised."""
        for event in events:
            match event:
                case AttemptEnded():
                    self._ended = event  # TaskSucceeded follows at once, if it is the first success
                case TaskSucceeded():
                    self._task_ended(event)
                case StageStarted():
                    self._start(event.stage, event.at)
                case StageCompleted():
                    if event.stage not in self._running:  # it has no tasks
                        self._start(event.stage, event.at)
                    self._end(event.stage)
                case _:
                    pass

    def failed(self, compute_id: str, dag: Any) -> None:
        """Report the end of every operation that has started, and of the computation.

        Cubed itself does so after a success only. A callback that raises is logged, so that the computation's own
        error is the one that is raised.
        """
        for name in tuple(self._running):
            self._call_and_log(self._end, name)
        event = ComputeEndEvent(compute_id, dag)
        for callback in self._callbacks:
            self._call_and_log(callback.on_compute_end, event)

    def _start(self, name: str, at: float) -> None:
        self._running[name] = at
        for callback in self._callbacks:
            callback.on_operation_start(OperationStartEvent(name))

    def _end(self, name: str) -> None:
        del self._running[name]
        for callback in self._callbacks:
            callback.on_operation_end(OperationEndEvent(name))

    def _task_ended(self, event: TaskSucceeded) -> None:
        ended = self._ended
        if ended is None or ended.attempt.id != event.attempt.id:
            return
        outcome = ended.outcome
        # A task of less than a millisecond is not measured; Cubed expects a figure, and the last is as good.
        self._measured = outcome.peak_bytes or self._measured
        start, end = outcome.started_at, outcome.started_at + outcome.seconds
        task_end = TaskEndEvent(
            name=event.attempt.stage,
            result=decode(outcome.value),
            # Clocks of several machines and the driver's own are never quite the same.
            task_create_tstamp=min(self._running.get(event.attempt.stage, start), start),
            function_start_tstamp=start,
            function_end_tstamp=end,
            task_result_tstamp=max(time.time(), end),
            peak_measured_mem_end=self._measured,
        )
        for callback in self._callbacks:
            callback.on_task_end(task_end)

    def _call_and_log[T](self, call: Callable[[T], object], argument: T) -> None:
        try:
            call(argument)
        except Exception:
            logger.exception("a callback failed while the computation's failure was reported to it")
