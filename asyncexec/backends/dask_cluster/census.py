"""Which workers there are, and which of them have a free thread; no IO."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True, eq=False, kw_only=True)
class Worker:
    """A worker as we know it.

    Attributes
    ----------
    address : str
    threads : int
    memory_bytes : int or None
        Its limit, where it has one.
    resources : dict of str to float
        What it has of Dask's named resources.
    nanny : str or None
        Where a nanny watches over its process.
    taken : int
        How many of our calls it runs.
    used : dict of str to float
        What they take of its resources.
    gone : asyncio.Event
        Set when it has left or died.
    """

    address: str
    threads: int
    memory_bytes: int | None
    resources: dict[str, float]
    nanny: str | None
    taken: int = 0
    used: dict[str, float] = field(default_factory=dict)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    def fits(self, wanted: Mapping[str, float]) -> bool:
        """Whether a call that takes so much can run now."""
        return self.taken < self.threads and all(
            self.used.get(name, 0.0) + amount <= self.resources.get(name, 0.0) + 1e-9
            for name, amount in wanted.items()
        )

    def has(self, wanted: Mapping[str, float]) -> bool:
        """Whether it has so much in all."""
        return all(self.resources.get(name, 0.0) >= amount for name, amount in wanted.items())


class Census:
    """The workers of a cluster.

    Attributes
    ----------
    changed : asyncio.Event
        Set, and replaced, whenever a call may find a place that it did not find before.
    """

    def __init__(self) -> None:
        self.workers: dict[str, Worker] = {}
        self.changed = asyncio.Event()
        self._condemned: set[str] = set()

    @property
    def threads(self) -> int:
        """How many calls they run at once."""
        return sum(worker.threads for worker in self.workers.values())

    @property
    def memory_bytes(self) -> int | None:
        """Memory for one call on the smallest worker; None where none has a limit."""
        shares = [w.memory_bytes // w.threads for w in self.workers.values() if w.memory_bytes]
        return min(shares, default=None)

    def resources(self) -> dict[str, float]:
        """Return what all have together."""
        total: dict[str, float] = {}
        for worker in self.workers.values():
            for name, amount in worker.resources.items():
                total[name] = total.get(name, 0.0) + amount
        return total

    def learn(self, told: Mapping[str, Mapping[str, Any]]) -> None:
        """Take over what the scheduler says of its workers, by address."""
        for address in self.workers.keys() - told.keys():
            self.lose(address)
        for address in told.keys() - self.workers.keys() - self._condemned:
            said = told[address]
            self.workers[address] = Worker(
                address=address,
                threads=int(said["nthreads"]),
                memory_bytes=int(said["memory_limit"] or 0) or None,
                resources=dict(said["resources"]),
                nanny=said["nanny"],
            )
        self._announce()

    def lose(self, address: str) -> None:
        """Take note that a worker has left."""
        self._condemned.discard(address)
        worker = self.workers.pop(address, None)
        if worker is not None:
            worker.gone.set()
            self._announce()

    def condemn(self, worker: Worker) -> None:
        """Count on a worker no more, that is about to be killed."""
        self.lose(worker.address)
        self._condemned.add(worker.address)

    def take(self, wanted: Mapping[str, float]) -> Worker | None:
        """Return the idlest worker that has a thread and the named resources free, which it then has no more."""
        best: Worker | None = None
        for worker in self.workers.values():
            if worker.fits(wanted) and (
                best is None or worker.taken / worker.threads < best.taken / best.threads
            ):
                best = worker
        if best is not None:
            best.taken += 1
            _add(best.used, wanted, 1)
        return best

    def give_back(self, worker: Worker, wanted: Mapping[str, float]) -> None:
        """Let another call have the place."""
        worker.taken -= 1
        _add(worker.used, wanted, -1)
        self._announce()

    def _announce(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()


def _add(used: dict[str, float], wanted: Mapping[str, float], sign: int) -> None:
    for name, amount in wanted.items():
        used[name] = used.get(name, 0.0) + sign * amount
