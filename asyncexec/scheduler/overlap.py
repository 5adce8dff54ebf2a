"""The number of tasks that one slot loads, computes and saves at once, where their arrays are in stores elsewhere.

While one of them computes, others wait for what they read or have written. There are as many as the budget of requests
of a process has work for, and as fit in the memory of a worker: each is projected to hold its data all the time, and
what a worker holds before any data is there once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncexec.plan.coroutine_functions import is_coroutine_function
from asyncexec.plan.locality import Locality
from asyncexec.plan.stage import WaitingIO

if TYPE_CHECKING:
    from asyncexec.backends.contract import Capabilities
    from asyncexec.plan.memory import Memory
    from asyncexec.plan.stage import Stage, TaskIO


FOR_EACH_REQUEST = 2
"""The tasks that take pieces for each request that a process may have under way, where one loop serves all slots.

It takes in what one task has read while others ask: with as many tasks as requests, half of these were under way. Tasks
that read once and write once gain next to nothing by it.
"""


def overlap_width(stage: Stage, io: TaskIO | None, capabilities: Capabilities, slots: int) -> int:
    """Return how many tasks of ``stage`` a slot runs at once because they wait for their input and output; 1 for one.

    ``slots`` are those of the backend now.
    """
    if not isinstance(io, WaitingIO) or io.requests == 1 or not capabilities.overlaps:
        return 1
    # A task that may not be repeated has its slot for itself: others could take it with them when they are stopped.
    if stage.concurrency is not None or not stage.idempotent or is_coroutine_function(stage.kernel):
        return 1
    wanted = io.requests
    if capabilities.locality is Locality.SAME_PROCESS:
        each = FOR_EACH_REQUEST if hasattr(stage.kernel, "pieces") else 1
        wanted = each * io.requests // max(1, slots)
    return max(1, min(wanted, _fitting(stage.memory, capabilities.worker_bytes, wanted)))


def slot_bytes(memory: Memory, width: int) -> int:
    """Return the bytes that ``width`` tasks in a slot are projected to hold together; 0 where that is not known."""
    if not memory.projected_bytes:
        return 0
    return memory.reserved_bytes + width * (memory.projected_bytes - memory.reserved_bytes)


def share_bytes(memory: Memory, width: int) -> int:
    """Return the share of one of ``width`` tasks in what they are projected to hold together."""
    return -(-slot_bytes(memory, width) // width)


def _fitting(memory: Memory, worker_bytes: int | None, wanted: int) -> int:
    """Return how many tasks fit in the memory of a worker, up to ``wanted``."""
    limits = [limit for limit in (memory.allowed_bytes, worker_bytes) if limit is not None]
    fitting = memory.at_once(min(limits)) if limits else None
    return wanted if fitting is None else fitting
