"""The memory of this machine, or of its container."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

# Version 2 and version 1 of control groups.
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def memory_bytes() -> int | None:
    """Return the memory this process may use: the machine's, or its container's where that is less; None if unknown."""
    limits = [limit for path in _CGROUP_LIMITS if (limit := _limit(Path(path))) is not None]
    with contextlib.suppress(ValueError, OSError, AttributeError):
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min(limits, default=None)


def _limit(path: Path) -> int | None:
    try:
        text = path.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None  # "max" where there is no limit
