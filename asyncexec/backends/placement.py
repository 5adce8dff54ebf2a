"""Which worker is taken, where a backend chooses: not one that is to be left idle, and rather not one that is named."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Reversible, Sequence
from typing import Protocol


def resting(present: Collection[str], avoided: Collection[str]) -> tuple[str, ...]:
    """Return those of the workers that are there which are to be left idle: none, if no other is there.

    Workers come and go, and what was said of one that is gone changes nothing.
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
    """Return the worker to take of those that have nothing to do: the last one that may be taken; None if none may.

    One of ``apart_from`` is taken when no other is free: as it does nothing, it does not run what it is named for.
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
    """A worker behind whose work other work can wait."""

    @property
    def name(self) -> str:
        """As it is called in reports."""
        ...

    @property
    def is_ready(self) -> bool:
        """Whether it has started up."""
        ...

    @property
    def assignments(self) -> Sequence[object]:
        """What it runs, and what waits behind that."""
        ...


def least_busy[W: Queued](
    free: Sequence[W], present: Iterable[W], *, apart_from: Container[str]
) -> W | None:
    """Return the worker to take of those that have room: the one with the least to do; None to wait for another.

    Nothing waits behind work of a worker it is to be apart from, unless nobody else is there.

    Parameters
    ----------
    free : sequence of Queued
        Those that have room.
    present : iterable of Queued
        All that take work sooner or later.
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
