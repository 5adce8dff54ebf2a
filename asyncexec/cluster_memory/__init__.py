"""Values that the tasks of a run share by name, in all its workers.

::

    memory = ax.get_cluster_memory()              # in a task
    memory.sync.put("table", table)           # or: await memory.put("table", table)
    table = memory.sync.get("table")          # in any other task, on any worker

The names are imported when they are first used: a worker opens one kind of memory, and only when a task asks for it.
"""

from typing import TYPE_CHECKING

from asyncexec.lazy import names_of

if TYPE_CHECKING:
    from asyncexec.cluster_memory.handle import (
        BlockingMemory as BlockingMemory,
        ClusterMemory as ClusterMemory,
    )
    from asyncexec.cluster_memory.settings import MemorySettings as MemorySettings
else:
    __getattr__, __dir__ = names_of(
        __name__,
        {
            "BlockingMemory": "handle",
            "ClusterMemory": "handle",
            "MemorySettings": "settings",
        },
    )
