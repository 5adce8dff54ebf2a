"""The waits of tasks for what any run of the engine may bring about: memory, resources, limits, fewer values.

Stages, and runs, that wait for the same are in one queue; see :mod:`asyncexec.scheduler.wait_queues`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from asyncexec.scheduler.admission import AdmissionBudget
    from asyncexec.scheduler.throttle import Throttle

_KEPT_BITS = 4


class Wait(Protocol):
    """Something that is waited for; those that are equal are the same."""

    def is_over(self, budget: AdmissionBudget, now: float) -> bool:
        """Return whether what was waited for may be there now."""
        ...


@dataclass(frozen=True, slots=True)
class MemoryWait:
    """The wait of tasks that need about so much memory, and at least that."""

    least_bytes: int

    @classmethod
    def of(cls, needed_bytes: int) -> MemoryWait:
        """Return the wait for so much; needs that differ by less than an eighth wait for the same.

        So there are few queues, whatever the number of different needs.
        """
        dropped = max(0, needed_bytes.bit_length() - _KEPT_BITS)
        return cls(needed_bytes >> dropped << dropped)

    def is_over(self, budget: AdmissionBudget, now: float) -> bool:
        return budget.fits_memory(self.least_bytes)


@dataclass(frozen=True, slots=True)
class ResourceWait:
    """The wait for named resources."""

    amounts: tuple[tuple[str, float], ...]

    @classmethod
    def of(cls, resources: Mapping[str, float]) -> ResourceWait:
        return cls(tuple(sorted(resources.items())))

    def is_over(self, budget: AdmissionBudget, now: float) -> bool:
        return budget.fits_resources(dict(self.amounts))


@dataclass(frozen=True, slots=True)
class LimitWait:
    """The wait for a limit of the engine, which the stages of all runs with its label share."""

    throttle: Throttle

    def is_over(self, budget: AdmissionBudget, now: float) -> bool:
        return self.throttle.opens_at <= now


@dataclass(frozen=True, slots=True)
class SlotWait:
    """The wait of a stage for a slot that is free: it sends nothing ahead of time."""

    slots: int

    def is_over(self, budget: AdmissionBudget, now: float) -> bool:
        return budget.slots_taken < self.slots


@dataclass(frozen=True, slots=True)
class ValueWait:
    """The wait of stages that only add to the values that are kept, while these are too many."""

    def is_over(self, budget: AdmissionBudget, now: float) -> bool:
        return not (budget.values.must_wait and budget.batches)
