"""Hands events on to observers; one that fails is logged and dropped."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from asyncexec.errors import OptionError
from asyncexec.events.observer import Observer

if TYPE_CHECKING:
    from asyncexec.events.records import AnyEvent

logger = logging.getLogger("asyncexec")


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
        If it is neither (an observer's class instead of an instance, say).
    """
    if isinstance(value, type):
        raise OptionError(
            f"observers take instances: write {value.__name__}(...), not {value.__name__}"
        )
    if isinstance(value, Observer):
        return value
    if callable(value):
        return _EachEvent(value)
    raise OptionError(
        f"{value!r} is no observer: it has no observe(events) and cannot be called with an event"
    )


class Fanout:
    """The observers of one execution."""

    def __init__(self, observers: Iterable[Observer]) -> None:
        self._observers = list(observers)

    def __bool__(self) -> bool:
        return bool(self._observers)

    def send(self, events: Sequence[AnyEvent]) -> None:
        """Give ``events`` to every observer."""
        for observer in tuple(self._observers):
            try:
                observer.observe(events)
            except Exception:
                logger.exception("observer %r failed and is dropped; the run goes on", observer)
                self._observers.remove(observer)
