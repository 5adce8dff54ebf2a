"""Which workers there are, and which of them have a free thread; no IO."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from asyncexec.backends.placement import resting


@dataclass(slots=True, eq=False, kw_only=True)
class Worker:
    """A worker as we know it.

    Attributes
    ----------
    name : str
        In reports. Nobody else in the life of the census has it.
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

    name: str
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
    workers : dict of str to Worker
        By address.
    """

    def __init__(self) -> None:
        self.workers: dict[str, Worker] = {}
        self.changed = asyncio.Event()
        self._condemned: set[str] = set()
        self._avoided: frozenset[str] = frozenset()
        self._lives: dict[str, int] = {}

    @property
    def threads(self) -> int:
        """How many calls they run at once; of workers that are avoided what they run already, if there are others."""
        workers = {worker.name: worker for worker in self.workers.values()}
        rest = [workers[name] for name in resting(workers, self._avoided)]
        threads = sum(worker.threads for worker in workers.values())
        return threads - sum(worker.threads - worker.taken for worker in rest)

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
        for address, said in told.items():
            if address in self.workers or address in self._condemned:
                continue
            self.workers[address] = Worker(
                name=self._new_name(address),
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

    def avoid(self, names: Collection[str]) -> None:
        """Give nothing to the workers of these names, and to no others, where there is somebody else who can do it."""
        self._avoided = frozenset(names)
        self._announce()

    def take(
        self, wanted: Mapping[str, float], apart_from: frozenset[str] = frozenset()
    ) -> Worker | None:
        """Return the idlest worker that has a thread and the named resources free, which it then has no more.

        It is none that is avoided, and none named in ``apart_from``, even if others are busy now. Who has the named
        resources is asked first: if all who have them are in ``apart_from``, or even avoided, it is one of these.
        """
        best: Worker | None = None
        for worker in self._eligible(wanted, apart_from):
            if worker.fits(wanted) and (
                best is None or worker.taken / worker.threads < best.taken / best.threads
            ):
                best = worker
        if best is not None:
            best.taken += 1
            _add(best.used, wanted, 1)
        return best

    def _eligible(
        self, wanted: Mapping[str, float], apart_from: frozenset[str]
    ) -> Iterable[Worker]:
        """Return the workers that are to be waited for, if need be."""
        workers = self.workers.values()
        if not self._avoided and not apart_from:
            return workers
        able = [worker for worker in workers if worker.has(wanted)]
        # To run beside another attempt is a pity; to run on a slow worker is worse.
        for unwanted in (self._avoided | apart_from, self._avoided):
            if chosen := [worker for worker in able if worker.name not in unwanted]:
                return chosen
        return able

    def give_back(self, worker: Worker, wanted: Mapping[str, float]) -> None:
        """Let another call have the place."""
        worker.taken -= 1
        _add(worker.used, wanted, -1)
        self._announce()

    def _new_name(self, address: str) -> str:
        """Return the address, as Dask calls its workers, or another name if somebody has had that address before."""
        life = self._lives[address] = self._lives.get(address, 0) + 1
        return address if life == 1 else f"{address}#{life}"

    def _announce(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()


def _add(used: dict[str, float], wanted: Mapping[str, float], sign: int) -> None:
    for name, amount in wanted.items():
        used[name] = used.get(name, 0.0) + sign * amount
