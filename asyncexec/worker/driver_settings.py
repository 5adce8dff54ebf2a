"""The driver's warning filters and logging levels, in a worker of another process, while it runs tasks of that driver.

In a process that is a worker of ours and nothing else they stay until other settings come. In a process that belongs
to a system, what was there before is put back when no batch needs them any more.
"""

from __future__ import annotations

import logging
import pickle
import sys
import threading
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from asyncexec.worker.run_scope import DriverSettings, WarningFilter, this_process

if TYPE_CHECKING:
    from collections.abc import Sequence


class HeldSettings:
    """The settings that hold in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._own: tuple[DriverSettings, list[Any]] | None = None
        self._applied: DriverSettings | None = None
        self._filters: list[Any] = []
        self._pending = False

    def hold(self, settings: DriverSettings) -> bool:
        """Have settings hold for a batch; return False in the driver's own process, where they do."""
        if settings.process == this_process():
            return False
        with self._lock:
            self._users += 1
            if self._own is None:
                own = DriverSettings(
                    settings.process, logging_levels(), logging.root.manager.disable
                )
                self._own = own, list(warnings.filters)
            self._apply(settings)
        return True

    def release(self) -> None:
        """End a batch; after the last, put back what was there before the first."""
        with self._lock:
            self._users -= 1
            if self._users or self._own is None:
                return
            own, filters = self._own
            self._set_levels(own)
            _put_filters(filters)
            self._own = self._applied = None

    def _apply(self, settings: DriverSettings) -> None:
        if settings is not self._applied:
            self._set_levels(settings)
        # A task may have changed the filters, or imported the module of a category.
        same = settings is self._applied and not self._pending
        if not same or warnings.filters != self._filters:
            filters = [_filter(each) for each in settings.filters]
            self._pending = None in filters
            _put_filters([each for each in filters if each is not None])
            self._filters = list(warnings.filters)
        self._applied = settings

    def _set_levels(self, settings: DriverSettings) -> None:
        """Give loggers the levels that they have on the driver, unless the task's own code has set others."""
        applied = self._applied
        before = dict(applied.levels) if applied is not None else {}
        wanted = dict(settings.levels)
        for name in before.keys() | wanted.keys():
            logger = logging.getLogger(name)
            unset = logging.NOTSET if name else logging.WARNING
            if logger.level in (unset, before.get(name)):
                logger.setLevel(wanted.get(name, unset))
        disabled = logging.root.manager.disable
        if disabled in (logging.NOTSET, applied.disabled if applied is not None else None):
            logging.disable(settings.disabled)


def logging_levels() -> tuple[tuple[str, int], ...]:
    """Return the loggers of this process that have a level of their own, with it; ``""`` is the root."""
    known = dict(logging.root.manager.loggerDict)
    named = [(name, each.level) for name, each in known.items() if isinstance(each, logging.Logger)]
    return tuple((name, level) for name, level in [("", logging.root.level), *named] if level)


def _put_filters(filters: Sequence[tuple[Any, ...]]) -> None:
    if warnings.filters == filters:
        return
    warnings.resetwarnings()
    for action, message, category, module, line in filters:
        warnings.filterwarnings(action, _text(message), category, _text(module), line, append=True)


def _text(pattern: Any) -> str:
    """Return the expression of an entry of a filter, which is compiled, a text or None."""
    return cast("str", getattr(pattern, "pattern", pattern) or "")


def _filter(told: WarningFilter) -> tuple[Any, ...] | None:
    """Return a filter as ``warnings`` has it; None while the module of its category has not been imported."""
    action, message, category, module, line = told
    found: Any = None
    if isinstance(category, bytes):
        with suppress(Exception):  # Of a class of the driver's script that cannot be made here.
            found = pickle.loads(category)  # noqa: S301 - from the driver
    else:
        name, _, qualified = category.partition(":")
        found = sys.modules.get(name)
        for part in qualified.split("."):
            found = getattr(found, part, None)
    if not (isinstance(found, type) and issubclass(found, Warning)):
        return None
    return action, message, found, module, line


SETTINGS = HeldSettings()
"""Of this process."""
