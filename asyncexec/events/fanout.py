"""The fan-out of events to observers; an observer that fails is logged and dropped."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

import anyio
from anyio import to_thread

from asyncexec.errors import OptionError
from asyncexec.events.observer import (
    FinishingObserver,
    Observer,
    RecordingObserver,
    wants_plan_details,
)

if TYPE_CHECKING:
    from asyncexec.events.records import AnyEvent

logger = logging.getLogger("asyncexec")

# Longer than any file takes to close; a disk that hangs must not hang the run.
_FINISH_SECONDS = 10.0


class _EachEvent:
    """Makes an observer of a function that takes one event."""

    def __init__(self, function: Callable[[AnyEvent], object]) -> None:
        self._function = function

    def observe(self, events: Sequence[AnyEvent]) -> None:
        for event in events:
            self._function(event)

    def __repr__(self) -> str:
        return repr(self._function)


def as_observer(value: Observer | Callable[[AnyEvent], object]) -> Observer:
    """Return ``value`` as an observer: itself, or a function of one event wrapped.

    Raises
    ------
    OptionError
        If it is neither (an observer's class instead of an instance, or a coroutine function, say).
    """
    if isinstance(value, type):
        raise OptionError(
            f"observers take instances: write {value.__name__}(...), not {value.__name__}"
        )
    called = getattr(value, "__call__", None)  # noqa: B004 - whether that is a coroutine function
    for function in (value, called, getattr(value, "observe", None)):
        if iscoroutinefunction(function):
            raise OptionError(
                f"{value!r} is no observer: observers are plain functions, which nobody awaits. To await something for "
                f"each event, go through 'async for event in engine.stream(plan)'"
            )
    if isinstance(value, Observer):
        return value
    if callable(value):
        return _EachEvent(value)
    raise OptionError(
        f"{value!r} is no observer: it has no observe(events) and cannot be called with an event"
    )


def as_observers(
    values: Iterable[Observer | Callable[[AnyEvent], object]] | None,
) -> tuple[Observer, ...]:
    """Return ``values`` as observers; None stands for no observers.

    Raises
    ------
    OptionError
        If one is none, or a single one is given instead of a list.
    """
    if values is None:
        return ()
    try:
        given = tuple(values)
    except TypeError:
        raise OptionError(f"observers are a list, not {values!r}: write observers=[...]") from None
    return tuple(map(as_observer, given))


class Fanout:
    """The observers of one execution.

    Attributes
    ----------
    failure : BaseException or None
        What an observer has raised that is no ``Exception``, and is to end more than a call: it ends the run.
    """

    def __init__(self, observers: Iterable[Observer]) -> None:
        self.failure: BaseException | None = None
        self._observers = tuple(observers)

    def __bool__(self) -> bool:
        return bool(self._observers)

    @property
    def wants_plan_details(self) -> bool:
        """True where some observer reads the fingerprint or the relations in ``PlanStarted``."""
        return any(map(wants_plan_details, self._observers))

    def send(self, events: Sequence[AnyEvent]) -> None:
        """Give ``events`` to every observer."""
        # Over a copy: an observer that fails is removed while the others are still served.
        for observer in self._observers:
            try:
                observer.observe(events)
            except Exception:
                logger.exception("observer %r failed and is dropped; the run goes on", observer)
                self._observers = tuple(o for o in self._observers if o is not observer)
            except BaseException as error:  # noqa: BLE001 - it would end the engine, and other runs with it
                self.failure = error
                self._observers = tuple(o for o in self._observers if o is not observer)

    async def finish(self, execution: str, value: Any, error: BaseException | None) -> None:
        """Call ``finish`` of each observer that has one, in a thread, then await ``record``; each with a time-out.

        The caller shields this, so that the files of a cancelled run are closed too.
        """
        for observer in self._observers:
            if isinstance(observer, FinishingObserver):
                finish = partial(observer.finish, execution)
                await _within_time(to_thread.run_sync(finish, abandon_on_cancel=True), observer)
        for observer in self._observers:
            if isinstance(observer, RecordingObserver):
                await _within_time(observer.record(execution, value, error), observer)


async def _within_time(awaited: Awaitable[None], observer: Observer) -> None:
    try:
        with anyio.fail_after(_FINISH_SECONDS):
            await awaited
    except BaseException as error:
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            raise
        logger.exception("observer %r did not finish", observer)
