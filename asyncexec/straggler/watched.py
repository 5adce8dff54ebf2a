"""The tasks and attempts of the scheduler, as the monitor of stragglers sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


class WatchedTask(Protocol):
    """A task that has had several attempts, or is about to."""

    @property
    def complete(self) -> bool:
        """True once an attempt has succeeded."""
        ...

    @property
    def failures(self) -> int:
        """Its attempts that count as failures."""
        ...

    @property
    def vain_backups(self) -> int:
        """Its backups that were given up."""
        ...

    @property
    def alive(self) -> Mapping[int, WatchedAttempt]:
        """Its attempts in flight by id, oldest first."""
        ...


class WatchedAttempt(Protocol):
    """An attempt that was sent to a worker."""

    @property
    def id(self) -> int: ...

    @property
    def task(self) -> int: ...

    @property
    def started(self) -> float:
        """The time at which it was reported to have started, by the scheduler's clock; negative before."""
        ...

    @property
    def timed_out(self) -> bool:
        """True while it is being stopped, as it ran for too long."""
        ...

    @property
    def given_up(self) -> bool:
        """True while it is being stopped, as a backup that does not win."""
        ...

    @property
    def task_record(self) -> WatchedTask | None:
        """Its task's record; None while the task has had no other attempt."""
        ...
