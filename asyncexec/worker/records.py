"""The records that pass between a driver and a worker: attempts on the way out, reports on the way back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from asyncexec.events.outcome import Outcome


class AttemptSpec(NamedTuple):
    """One attempt of one task, as a backend and its workers see it."""

    attempt: int
    """The attempt's id, unique in its engine."""
    task: int
    """Flat index of the task in its stage."""
    inputs: Iterable[Any] = ()
    """The kernel's inputs, for a program without ``io``; an input may be an ``Encoded`` value to decode first."""
    number: int = 1
    """1 for the task's first attempt."""


class Started(NamedTuple):
    """An attempt started on a worker just now."""

    attempt: int
    worker: str


type Report = Started | Outcome


def attempts_of(specs: Sequence[AttemptSpec]) -> list[int]:
    """Return the ids of these attempts, in their order."""
    return [spec.attempt for spec in specs]
