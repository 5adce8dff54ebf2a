"""The warning filters and logging levels of this process, for workers in others."""

from __future__ import annotations

import logging
import re
import warnings
from typing import Any

import cloudpickle

from asyncexec.worker.driver_settings import logging_levels
from asyncexec.worker.run_scope import DriverSettings, WarningFilter, this_process


def driver_settings() -> DriverSettings:
    """Return those that hold now."""
    told = (_told(entry) for entry in tuple(warnings.filters))
    return DriverSettings(
        this_process(),
        logging_levels(),
        logging.root.manager.disable,
        tuple(each for each in told if each is not None),
    )


def _told(entry: tuple[Any, ...]) -> WarningFilter | None:
    action, message, category, module, line = entry
    name: str | bytes = f"{category.__module__}:{category.__qualname__}"
    if category.__module__ == "__main__" or "<locals>" in category.__qualname__:
        try:
            name = cloudpickle.dumps(category)
        except Exception:  # noqa: BLE001 - whatever a class holds: no worker can warn with it then
            return None
    return WarningFilter(action, _expression(message), name, _expression(module), line)


def _expression(given: Any) -> str:
    """Return the regular expression of an entry, which is compiled, a text to be equal to, or None."""
    if given is None:
        return ""
    return f"{re.escape(given)}\\Z" if isinstance(given, str) else str(given.pattern)
