"""A run as the dispatch has it: with its number, its observers, and the event that is set at its end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from anyio import to_thread

from asyncexec.errors import ExecutionError
from asyncexec.scheduler.raised_by_user import is_interrupt, run_failed
from asyncexec.scheduler.set_once import SetOnce

if TYPE_CHECKING:
    from threading import Event

    from asyncexec.backends.contract import Report
    from asyncexec.events.fanout import Fanout
    from asyncexec.scheduler.run import Run
    from asyncexec.worker.records import Note


logger = logging.getLogger("asyncexec")


class BlockingCalls(Protocol):
    """Makes the blocking calls of a run, one after another."""

    async def beside[T](self, function: Callable[[], T]) -> T:
        """Return the result of a call, while the run goes on."""
        ...


class RunHandle:
    """A run with its observers, and the event that is set at its end."""

    def __init__(
        self,
        number: int,
        run: Run,
        fanout: Fanout,
        log: Callable[[Sequence[Note]], None] | None = None,
        calls: BlockingCalls | None = None,
    ) -> None:
        self.number = number
        self.run = run
        self.fanout = fanout
        self.log = log
        """Takes what tasks and workers say, for the driver's logging."""
        self._calls = calls
        self.finished = SetOnce()
        self.drain_by: float | None = None
        self.late_saves: tuple[Event, ...] = ()
        """Set as the saves end that were given up: until then its tasks may write."""

    async def blocking[T](self, function: Callable[[], T]) -> T:
        """Make a call that blocks, such as to create arrays, in order with the others of this run."""
        if self._calls is None:
            return await to_thread.run_sync(function)
        return await self._calls.beside(function)

    def guarded[**P, T](
        self, function: Callable[P, T], *arguments: P.args, **options: P.kwargs
    ) -> T | None:
        """Call a function of the run; what it raises ends this run alone, and returns None."""
        try:
            return function(*arguments, **options)
        except BaseException as error:
            if is_interrupt(error):
                raise
            self.fail(error)
            return None

    def report(self, reports: Iterable[Report], now: float) -> None:
        """Pass reports to the run; those after one that ends it are taken in as well, as their attempts have ended."""
        left = iter(reports)
        while True:
            try:
                self.run.report(left, now)
            except BaseException as error:
                if is_interrupt(error):
                    raise
                self.fail(error)
            else:
                return

    def fail(self, error: BaseException) -> bool:
        """End the run, as something in it has raised; return False if it had been stopped before."""
        if self.run.status.stopping:
            return False
        self.run.stop(run_failed(self.run.name, self.run.plan.name, error))
        return True

    def give_up_attempts(
        self, now: float, leave_saves: Callable[[Collection[int]], Sequence[Event]] | None
    ) -> None:
        """Wait no longer for the attempts in flight of a run that was stopped; those that save are left behind."""
        running = self.run.sender.running
        saves = leave_saves(running) if leave_saves is not None else ()
        self.late_saves = (*self.late_saves, *saves)
        logger.warning(
            "execution %s: %d cancelled attempts do not end, %d of which write; they are given up",
            self.run.name,
            len(running),
            len(saves),
        )
        self.run.abandon_all(now)

    def pass_on(self) -> None:
        """Pass the run's notes to the driver's logging, and its events to observers; one of these may stop the run."""
        run = self.run
        buffer = run.event_buffer
        notes, buffer.notes = buffer.notes, ()
        if notes and self.log is not None:
            self.log(notes)
        events, buffer.events = buffer.events, []
        if events:
            self.fanout.send(events)
            if self.fanout.failure is not None and run.status.error is None:
                run.stop(observer_failed(run.name, self.fanout.failure))


def observer_failed(execution: str, failure: BaseException) -> ExecutionError:
    """Return the error of a run that an observer has ended."""
    error = ExecutionError(
        f"execution {execution}: an observer raised {failure!r}. This is no Exception, which "
        f"would have been logged; other runs go on"
    )
    error.__cause__ = failure
    return error
