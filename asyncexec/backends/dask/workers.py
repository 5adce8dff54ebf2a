"""The table of workers and their free threads; no IO."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from asyncexec.backends.placement import resting

REMEMBERED_WORKERS = 100
"""The workers that are remembered after they have gone, as news of them may be late."""


@dataclass(slots=True, eq=False, kw_only=True)
class DaskWorker:
    """A worker of the cluster, as this process knows it."""

    name: str
    """The name in reports, unique in the life of the table."""
    address: str
    threads: int
    memory_bytes: int | None
    """Its memory limit, if it has one."""
    resources: dict[str, float]
    """Its amounts of Dask's named resources."""
    nanny: str | None
    """The address of the nanny that watches its process, if there is one."""
    running_calls: int = 0
    """The number of calls of this engine that it runs."""
    used: dict[str, float] = field(default_factory=dict)
    """The amounts of its resources that they take."""
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the worker has left or died."""
    over_memory: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when its nanny has said that it ends the worker because of the memory it holds."""

    def fits(self, wanted: Mapping[str, float]) -> bool:
        """Return whether a call with these resources can start now."""
        return self.running_calls < self.threads and all(
            self.used.get(name, 0.0) + amount <= self.resources.get(name, 0.0) + 1e-9
            for name, amount in wanted.items()
        )

    def has(self, wanted: Mapping[str, float]) -> bool:
        """Return whether its resources are enough for such a call, when it is idle."""
        return all(self.resources.get(name, 0.0) >= amount for name, amount in wanted.items())


class WorkerTable:
    """The workers of a cluster, with their threads and resources."""

    def __init__(self) -> None:
        self.workers: dict[str, DaskWorker] = {}
        """The workers by address."""
        self.changed = asyncio.Event()
        """Set, and replaced, whenever a call that could not be placed might be placed now."""
        self._killed: set[str] = set()
        self._gone: deque[DaskWorker] = deque(maxlen=REMEMBERED_WORKERS)
        self._avoided: frozenset[str] = frozenset()
        self._lives: dict[str, int] = {}

    @property
    def threads(self) -> int:
        """The number of calls that can run at once; an avoided worker counts only with what it runs already."""
        workers = {worker.name: worker for worker in self.workers.values()}
        rest = [workers[name] for name in resting(workers, self._avoided)]
        threads = sum(worker.threads for worker in workers.values())
        return threads - sum(worker.threads - worker.running_calls for worker in rest)

    @property
    def memory_bytes(self) -> int | None:
        """The memory for one call on the smallest worker; None if none has a limit."""
        shares = [w.memory_bytes // w.threads for w in self.workers.values() if w.memory_bytes]
        return min(shares, default=None)

    def resources(self) -> dict[str, float]:
        """Return the total of each named resource."""
        total: dict[str, float] = {}
        for worker in self.workers.values():
            for name, amount in worker.resources.items():
                total[name] = total.get(name, 0.0) + amount
        return total

    def update(self, told: Mapping[str, Mapping[str, Any]]) -> None:
        """Update the table from the scheduler's view of its workers, by address."""
        for address in self.workers.keys() - told.keys():
            self.remove(address)
        for address, said in told.items():
            if address in self.workers or address in self._killed:
                continue
            self.workers[address] = DaskWorker(
                name=self._new_name(address),
                address=address,
                threads=int(said["nthreads"]),
                memory_bytes=int(said["memory_limit"] or 0) or None,
                resources=dict(said["resources"]),
                nanny=said["nanny"],
            )
        self._notify()

    def remove(self, address: str) -> None:
        """Remove a worker that has left."""
        self._killed.discard(address)
        worker = self.workers.pop(address, None)
        if worker is not None:
            worker.gone.set()
            self._gone.append(worker)
            self._notify()

    def mark_over_memory(self, address: str) -> None:
        """Note that a nanny ends its worker because of the memory it holds; it may have been removed by then."""
        worker = self.workers.get(address)
        if worker is None:
            worker = next((w for w in reversed(self._gone) if w.address == address), None)
        if worker is not None:
            worker.over_memory.set()

    def mark_killed(self, worker: DaskWorker) -> None:
        """Remove a worker that is about to be killed, and keep it out until the scheduler has noticed."""
        self.remove(worker.address)
        self._killed.add(worker.address)

    def avoid(self, names: Collection[str]) -> None:
        """Place nothing on the workers of these names, and only these, as long as others can run it."""
        self._avoided = frozenset(names)
        self._notify()

    def acquire(
        self, wanted: Mapping[str, float], apart_from: frozenset[str] = frozenset()
    ) -> DaskWorker | None:
        """Return the idlest worker that fits the resources, and reserve them; None if there is none.

        Avoided workers and those in ``apart_from`` are left out, even if all others are busy now. But if only such
        workers have the named resources, they are taken: first those in ``apart_from``, and last the avoided ones.
        """
        best: DaskWorker | None = None
        for worker in self._eligible(wanted, apart_from):
            if worker.fits(wanted) and (
                best is None
                or worker.running_calls / worker.threads < best.running_calls / best.threads
            ):
                best = worker
        if best is not None:
            best.running_calls += 1
            _add(best.used, wanted, 1)
        return best

    def _eligible(
        self, wanted: Mapping[str, float], apart_from: frozenset[str]
    ) -> Iterable[DaskWorker]:
        """Return the workers to choose from, or to wait for."""
        workers = self.workers.values()
        if not self._avoided and not apart_from:
            return workers
        able = [worker for worker in workers if worker.has(wanted)]
        # A slow worker is worse than one that runs another attempt of the same task.
        for unwanted in (self._avoided | apart_from, self._avoided):
            if chosen := [worker for worker in able if worker.name not in unwanted]:
                return chosen
        return able

    def release(self, worker: DaskWorker, wanted: Mapping[str, float]) -> None:
        """Release the thread and the resources of a call."""
        worker.running_calls -= 1
        _add(worker.used, wanted, -1)
        self._notify()

    def _new_name(self, address: str) -> str:
        """Return the address, which is Dask's name for a worker, or a new name if the address was used before."""
        life = self._lives[address] = self._lives.get(address, 0) + 1
        return address if life == 1 else f"{address}#{life}"

    def _notify(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()


def _add(used: dict[str, float], wanted: Mapping[str, float], sign: int) -> None:
    for name, amount in wanted.items():
        used[name] = used.get(name, 0.0) + sign * amount
