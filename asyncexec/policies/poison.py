"""The detection of poison tasks: those that kill their workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable


class PoisonWatch:
    """Counts, for each task, the different workers that died while running it; ``deaths`` of them make it poison.

    Only tasks that lost a worker are remembered, until they are complete. Only the task that was *running* is to be
    recorded, and not those that waited behind it on the same worker.

    >>> from asyncexec.policies import PoisonWatch
    >>> watch = PoisonWatch()
    >>> watch.lost(7, "worker-1"), watch.lost(7, "worker-1"), watch.lost(7, "worker-2")
    (False, False, True)
    """

    __slots__ = ("_deaths", "_victims")

    def __init__(self, deaths: int = 2) -> None:
        self._deaths = deaths
        self._victims: dict[Hashable, set[str]] = {}

    def lost(self, task: Hashable, worker: str) -> bool:
        """Record that ``worker`` died while running ``task``; return whether the task is poison now.

        A worker without a name cannot be distinguished from others, and is not counted.
        """
        if not worker:
            return False
        victims = self._victims.setdefault(task, set())
        victims.add(worker)
        return len(victims) >= self._deaths

    def workers(self, task: Hashable) -> tuple[str, ...]:
        """Return the workers that died while running ``task``, by name."""
        return tuple(sorted(self._victims.get(task, ())))

    def forget(self, task: Hashable) -> None:
        """Forget ``task``, which is complete; a task that never lost a worker is ignored."""
        self._victims.pop(task, None)

    def __len__(self) -> int:
        return len(self._victims)
