"""The memory of this machine, or of its container."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

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


def budget_bytes(memory: int | str | None, capabilities: Capabilities) -> int | None:
    """Return the memory that all tasks in flight may have together; None without a limit.

    Parameters
    ----------
    memory : int, str or None
        As given by the user; by default a share of this machine's memory for a backend on it, and no more than its
        budget.
    capabilities : Capabilities
        Of the backend.
    """
    if memory is not None:
        return parse_bytes(memory, what="memory")
    available = memory_bytes() if capabilities.locality.on_this_host else None
    share = None if available is None else int(available * _SHARE)
    limits = [limit for limit in (share, capabilities.budget_bytes) if limit is not None]
    return min(limits, default=None)


def _limit(path: Path) -> int | None:
    try:
        text = path.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None  # "max" where there is no limit
