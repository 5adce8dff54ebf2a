"""Admission: a budget of memory, by projected bytes, and of named resources that tasks in flight share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from asyncexec.config.fields import refuse_unknown
from asyncexec.errors import MemoryBudgetError, ResourceError
from asyncexec.plan.memory import format_bytes
from asyncexec.scheduler.throttle import Throttle
from asyncexec.scheduler.value_account import ValueAccount

if TYPE_CHECKING:
    from asyncexec.backends.contract import Capabilities
    from asyncexec.plan.limit import Limit
    from asyncexec.plan.plan import Plan
    from asyncexec.plan.stage import Stage


def check_workers(plan: Plan, capabilities: Capabilities) -> None:
    """Raise unless a worker has the memory that each task of ``plan`` may use.

    Raises
    ------
    MemoryBudgetError
        If a worker has less than a task is allowed, or, where no allowance was given, projected to need.
    """
    has = capabilities.worker_bytes
    for stage in plan.stages if has is not None else ():
        memory = stage.memory
        needs = memory.projected_bytes if memory.allowed_bytes is None else memory.allowed_bytes
        if has is not None and needs > has:
            verb = "is projected to need" if memory.allowed_bytes is None else "may use"
            raise MemoryBudgetError(
                f"plan {plan.name!r}, stage {stage.name!r} ({stage.operation or 'task'}): one task {verb} "
                f"{format_bytes(needs)}, and a worker of executor {capabilities.name!r} has {format_bytes(has)}. "
                f"Give workers more memory (executor_options), or allow tasks less (allowed_mem)"
            )


class HeldMemory(Protocol):
    """The memory of intermediate chunks, as far as the budget counts it."""

    @property
    def used_bytes(self) -> int:
        """The bytes in use now."""
        ...


class AdmissionBudget:
    """A semaphore weighted by bytes and resources, shared by all executions of an engine.

    A batch takes what those of its tasks need which may run at once: as a rule one, because they run one after another.
    A task that ran out of memory is tried once more while nothing else runs: ``exclusive`` admits no other batch.
    The limits of labels, which all executions share, are kept here, too.

    Attributes
    ----------
    batches : int
        The batches in flight.
    slots_taken : float
        The slots that they take: one each, or shares of them where batches share a slot.
    values : ValueAccount
        The values that stay near the workers. They have a budget of their own; where they are in the memory of tasks
        (``values_share_memory``), they take from that of the tasks, too.
    intermediates : HeldMemory or None
        The intermediate chunks in memory, which take from the budget of the tasks.
    reserved_for : object or None
        The owner of the batch that waits for batches in flight to end; None if none does.
    """

    def __init__(
        self,
        memory_bytes: int | None = None,
        resources: Mapping[str, float] | None = None,
        limits: Mapping[str, Limit] | None = None,
        *,
        value_bytes: int | None = None,
        values_share_memory: bool = False,
    ) -> None:
        self.values = ValueAccount(value_bytes, self._room if values_share_memory else None)
        self._values_share_memory = values_share_memory
        self._largest_bytes = 0
        self.memory_bytes = memory_bytes
        self.intermediates: HeldMemory | None = None
        self.resources = dict(resources or {})
        self._given = frozenset(self.resources)
        self.used_bytes = 0
        self.peak_bytes = 0
        self.batches = 0
        self.slots_taken = 0.0
        self._used = dict.fromkeys(self.resources, 0.0)
        self._exclusive = False
        self.reserved_for: object | None = None
        self._throttles = {
            label: Throttle(limit, shared=True) for label, limit in (limits or {}).items()
        }

    def provide(self, resources: Mapping[str, float]) -> None:
        """Update the resources of the backend, which may change as workers come; those given by the user stay."""
        for name, amount in resources.items():
            if name not in self._given:
                self.resources[name] = amount
                self._used.setdefault(name, 0.0)

    def check(self, plan: Plan) -> None:
        """Raise unless every single task of ``plan`` could run.

        Raises
        ------
        MemoryBudgetError
            If a task needs more memory than the whole budget.
        ResourceError
            If a task needs a resource that does not exist, or more of it than there is.
        OptionError
            If a label of a stage is no limit's name.
        """
        for stage in plan.stages:
            needs = stage.memory.projected_bytes
            # Values must always leave room for this one, or its task could never start.
            self._largest_bytes = max(self._largest_bytes, needs)
            if self.memory_bytes is not None and needs > self.memory_bytes:
                raise MemoryBudgetError(
                    f"plan {plan.name!r}, stage {stage.name!r} ({stage.operation or 'task'}): one task is projected to "
                    f"need {format_bytes(needs)}, and the engine's memory is {format_bytes(self.memory_bytes)}. "
                    f"{self._smaller(stage)}, or give Engine(memory=...) more"
                )
            for name, amount in stage.resources.items():
                self._check_resource(plan, stage, name, amount)
            where = f"the limits of the engine, which plan {plan.name!r}, stage {stage.name!r} has as a label"
            if stage.labels:
                advice = "give Engine(limits={{{!r}: ax.Limit(...)}}); "
                refuse_unknown(stage.labels, self._throttles, where, otherwise=advice)

    def throttles_of(self, stage: Stage) -> tuple[Throttle, ...]:
        """Return the limits that the attempts of ``stage`` are under, of one run: its own, and those of its labels."""
        own = () if stage.limit is None else (Throttle(stage.limit),)
        if not stage.labels:
            return own
        return (*own, *(self._throttles[n] for n in stage.labels if n in self._throttles))

    def reserve(self, owner: object) -> bool:
        """Reserve the whole budget for one batch of ``owner``; return True once nothing else is in flight.

        Until then no other batch is admitted, so that the ones in flight drain.
        """
        # The first to ask keeps it: two that wait for each other's batches would never start.
        if self.reserved_for is None:
            self.reserved_for = owner
        return self.reserved_for is owner and not self.batches

    def withdraw(self, owner: object) -> None:
        """Cancel the reservation of ``owner``, if it has one."""
        if self.reserved_for is owner:
            self.reserved_for = None

    def fits_memory(self, memory_bytes: int) -> bool:
        """Return whether a batch whose tasks need so much memory may start now."""
        if self._exclusive or self.reserved_for is not None:
            return False
        limit = self.memory_bytes
        if limit is None or not self.batches:
            # What is held beside tasks leaves room for each of them: alone, none waits for it.
            return limit is None or memory_bytes <= limit
        held = self.intermediates
        needed = memory_bytes if held is None else memory_bytes + held.used_bytes
        if self._values_share_memory:
            needed += self.values.memory_bytes
        return self.used_bytes + needed <= limit

    @property
    def _held_bytes(self) -> int:
        """The bytes that intermediates and values take."""
        held = 0 if self.intermediates is None else self.intermediates.used_bytes
        return held + self.values.memory_bytes if self._values_share_memory else held

    def _room(self) -> int | None:
        """Return the bytes that values may take while the largest task still finds room; None for no limit."""
        if self.memory_bytes is None:
            return None
        held = 0 if self.intermediates is None else self.intermediates.used_bytes
        return self.memory_bytes - self._largest_bytes - held

    def room(self, memory_bytes: int, resources: Mapping[str, float], wanted: int) -> int:
        """Return how many of ``wanted`` tasks, each of which needs that, may start at once; 1 is known to fit."""
        if self.memory_bytes is not None and memory_bytes:
            wanted = min(
                wanted, (self.memory_bytes - self.used_bytes - self._held_bytes) // memory_bytes
            )
        for name, amount in resources.items():
            if amount > 0:
                free = self.resources[name] - self._used[name] + 1e-9
                wanted = min(wanted, int(free / amount))
        return max(1, wanted)

    def fits_resources(self, resources: Mapping[str, float]) -> bool:
        """Return whether the named resources are free now."""
        # A tolerance, as sums of fractions such as 0.1 are not exact.
        return all(
            self._used[name] + amount <= self.resources[name] + 1e-9
            for name, amount in resources.items()
        )

    def take(
        self,
        memory_bytes: int,
        resources: Mapping[str, float],
        *,
        exclusive: bool = False,
        tasks: int = 1,
        slots: float = 1.0,
    ) -> None:
        """Take out of the budget what a batch needs of which ``tasks`` run at once, each with that need."""
        self.batches += 1
        if exclusive:
            self._exclusive = True
            # The reservation has come to its end: the batch that it was for keeps others out by itself now.
            self.reserved_for = None
        self._take(memory_bytes * tasks, resources, tasks, slots)
        self.peak_bytes = max(self.peak_bytes, self.used_bytes + self._held_bytes)

    def give_back_part(
        self, memory_bytes: int, resources: Mapping[str, float], slots: float
    ) -> None:
        """Return what one task no longer needs while others of its batch run."""
        self._take(-memory_bytes, resources, -1, -slots)

    def give_back(
        self,
        memory_bytes: int,
        resources: Mapping[str, float],
        *,
        exclusive: bool = False,
        slots: float = 1.0,
    ) -> None:
        """Return what the last task of a batch has taken."""
        # Also counted where a batch took no memory: it is by this that one knows when all is quiet.
        self.batches -= 1
        if exclusive:
            self._exclusive = False
        self._take(-memory_bytes, resources, -1, -slots)
        if not self.batches:
            self.slots_taken = 0.0  # sums of shares are not exact, and must not drift

    def _take(
        self, memory_bytes: int, resources: Mapping[str, float], tasks: int, slots: float
    ) -> None:
        self.slots_taken += slots
        self.used_bytes += memory_bytes
        for name, amount in resources.items():
            self._used[name] += amount * tasks

    def _check_resource(self, plan: Plan, stage: Stage, name: str, amount: float) -> None:
        where = f"plan {plan.name!r}, stage {stage.name!r} asks for {amount:g} of resource {name!r}"
        if name not in self.resources:
            known = ", ".join(sorted(self.resources)) or "none"
            raise ResourceError(
                f"{where}, which nobody has (known: {known}). Give Engine(resources={{{name!r}: ...}})"
            )
        if amount > self.resources[name]:
            raise ResourceError(f"{where}, and there are only {self.resources[name]:g} in all")

    def _smaller(self, stage: Stage) -> str:
        """Return advice on making a task of ``stage`` fit."""
        memory = stage.memory
        needs = max(1, memory.projected_bytes - memory.reserved_bytes)
        room = max(0, (self.memory_bytes or 0) - memory.reserved_bytes)
        fitting = int(memory.chunk_bytes * room / needs)
        return (
            f"Use chunks of at most {format_bytes(fitting)}" if fitting else "Have tasks need less"
        )
