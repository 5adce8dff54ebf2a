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


class Note(NamedTuple):
    """Words of a task, or of its worker, while it runs; they stand before the outcome of its attempt.

    One of the kind :data:`WIDTH` is for the scheduler alone.

    Attributes
    ----------
    attempt : int
        The attempt's id; ``NO_ATTEMPT`` for what a worker says while no task runs.
    kind : str
        ``"progress"``, ``"log"``, ``"stdout"``, ``"stderr"`` or ``"width"``.
    text : str
        Words about the progress, the message of the log record, or a line.
    worker, stage : str
    task, number : int
        The task's flat index, and the number of the attempt.
    at : float
        Its time, in seconds since the epoch by the worker's clock.
    fraction : float
        The share of the task that is done, for progress.
    level, logger, path, line, function, trace
        Of a log record: its level, the logger's name, the place in the code, and the traceback as text.
    width : int
        At how many attempts at once, of the stage of this one, a slot is busy, as the first piece of this one says.
    """

    attempt: int
    kind: str
    text: str
    worker: str = ""
    stage: str = ""
    task: int = 0
    number: int = 1
    at: float = 0.0
    fraction: float = 0.0
    level: int = 0
    logger: str = ""
    path: str = ""
    line: int = 0
    function: str = ""
    trace: str = ""
    width: int = 0


WIDTH = "width"
"""The kind of a note of how many attempts a slot is to run at once."""

NO_ATTEMPT = -1

type Report = Started | Outcome | Note


def attempts_of(specs: Sequence[AttemptSpec]) -> list[int]:
    """Return the ids of these attempts, in their order."""
    return [spec.attempt for spec in specs]
