"""The memory of this machine, or of its container."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from asyncexec.plan.memory import parse_bytes

if TYPE_CHECKING:
    from asyncexec.backends.contract import Capabilities

_SHARE = 0.8
"""The part of the machine's memory that backends on this machine may fill by default."""

# Version 2 and version 1 of control groups.
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def memory_bytes() -> int | None:
    """Return the memory this process may use: the machine's, or its container's where that is less; None if unknown."""
    limits = [limit for path in _CGROUP_LIMITS if (limit := _limit(Path(path))) is not None]
    with contextlib.suppress(ValueError, OSError, AttributeError):
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min(limits, default=None)


class Budgets(NamedTuple):
    """The memory that an engine may fill; None without a limit.

    Attributes
    ----------
    tasks : int or None
        For all tasks in flight.
    values : int or None
        For values that stay near the workers.
    """

    tasks: int | None
    values: int | None


def budget_bytes(
    memory: int | str | None, value_memory: int | str | None, capabilities: Capabilities
) -> Budgets:
    """Return the memory that tasks and values may fill.

    Parameters
    ----------
    memory, value_memory : int, str or None
        As given by the user; by default shares of this machine's memory for a backend on it, and for tasks no more than
        the backend's budget.
    capabilities : Capabilities
        Of the backend.
    """
    available = memory_bytes() if capabilities.locality.on_this_host else None
    tasks, values = capabilities.budget_bytes, None
    if available is not None:
        tasks = min(int(available * _SHARE), tasks or available)
        values = int(available * (1 - _SHARE))
    if memory is not None:
        tasks = parse_bytes(memory, what="memory")
    if value_memory is not None:
        values = parse_bytes(value_memory, what="value_memory")
    return Budgets(tasks, values)


def _limit(path: Path) -> int | None:
    try:
        text = path.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None  # "max" where there is no limit
