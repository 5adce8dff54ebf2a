"""Attempts in flight, and the tasks that have more to their story than one attempt."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from asyncexec.events.records import Attempt

if TYPE_CHECKING:
    from asyncexec.scheduler.stage import StageState


@dataclass(slots=True)
class Trouble:
    """A task one attempt of which failed or is slow; ordinary tasks have none.

    Attributes
    ----------
    attempts : int
        How many attempts were started.
    failures : int
        How many of them count against the task.
    alive : dict of int to Running
        Attempts in flight, by id.
    hangs : int
        How many attempts were taken for hung.
    free_losses : int
        How many attempts were lost before they started, since some task of the run was last completed.
    left : int
        How many tasks of the run were not complete when the last of them was lost.
    complete : bool
        Whether an attempt has succeeded.
    """

    attempts: int = 1
    failures: int = 0
    alive: dict[int, Running] = field(default_factory=dict)
    hangs: int = 0
    free_losses: int = 0
    left: int = -1
    complete: bool = False


class Consignment:
    """A batch in flight and what it holds of the budget, until its last attempt has ended."""

    __slots__ = ("exclusive", "left", "memory_bytes", "stage")

    def __init__(self, stage: StageState, left: int, memory_bytes: int, *, exclusive: bool) -> None:
        self.stage = stage
        self.left = left
        self.memory_bytes = memory_bytes
        self.exclusive = exclusive


class Running:
    """One attempt in flight.

    Attributes
    ----------
    id, task : int
        The attempt's id, and the task's flat index.
    consignment : Consignment
    trouble : Trouble or None
    sent : float
        When it was handed to the backend, by the driver's clock.
    started : float
        When it was reported to have started on a worker, by the driver's clock; negative before.
    worker : str
    number : int
        1 for the task's first attempt.
    backup, timed_out : bool
    record : Attempt or None
        What events call it; made when the first event needs it.
    """

    __slots__ = (
        "backup",
        "consignment",
        "id",
        "number",
        "record",
        "sent",
        "started",
        "task",
        "timed_out",
        "trouble",
        "worker",
    )

    def __init__(self, attempt: int, task: int, consignment: Consignment, sent: float) -> None:
        self.id = attempt
        self.task = task
        self.consignment = consignment
        self.trouble: Trouble | None = None
        self.sent = sent
        self.started = -1.0
        self.worker = ""
        self.number = 1
        self.backup = False
        self.timed_out = False
        self.record: Attempt | None = None

    def described(self, execution: str) -> Attempt:
        """Return the record events use."""
        record = self.record
        if record is None:
            stage = self.consignment.stage.stage.name
            record = self.record = Attempt(
                self.id, execution, stage, self.task, self.number, self.backup
            )
        return record
