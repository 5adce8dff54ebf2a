"""Choose a worker, in backends that can: leave avoided workers idle, and keep attempts of one task apart."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Reversible, Sequence
from typing import Protocol


def resting(present: Collection[str], avoided: Collection[str]) -> tuple[str, ...]:
    """Return the avoided workers among those present; none if all that are present are avoided.

    A worker that is gone changes nothing.
    """
    if not avoided:
        return ()
    found = tuple(worker for worker in present if worker in avoided)
    return () if len(found) == len(present) else found


def idle_one[W](
    idle: Reversible[W],
    name: Callable[[W], str],
    *,
    rests: Container[str],
    apart_from: Container[str],
) -> W | None:
    """Return the idle worker to use, which is the last one that is not excluded; None if there is none.

    A worker in ``apart_from`` is used if no other is idle: as it is idle, it no longer runs the other attempt.
    """
    second_best: W | None = None
    for worker in reversed(idle):
        worker_name = name(worker)
        if worker_name in rests:
            continue
        if worker_name not in apart_from:
            return worker
        if second_best is None:
            second_best = worker
    return second_best


class Queued(Protocol):
    """A worker with a queue of its own."""

    @property
    def name(self) -> str:
        """Its name in reports."""
        ...

    @property
    def is_ready(self) -> bool:
        """True once it has started up."""
        ...

    @property
    def assignments(self) -> Sequence[object]:
        """The running assignment, and those that wait for it."""
        ...


def least_busy[W: Queued](
    free: Sequence[W], present: Iterable[W], *, apart_from: Container[str]
) -> W | None:
    """Return the worker with room and the least work; None to wait for another.

    No assignment is queued at a worker in ``apart_from``, unless there are only such workers.

    Parameters
    ----------
    free : sequence of Queued
        The workers that have room.
    present : iterable of Queued
        All workers that take work sooner or later.
    apart_from : container of str
    """
    best = min(
        free,
        key=lambda w: (len(w.assignments), w.name in apart_from, not w.is_ready),
        default=None,
    )
    if best is None or not best.assignments or best.name not in apart_from:
        return best
    return best if all(w.name in apart_from for w in present) else None
