"""The hosts of workers, by the names that backends give workers in reports: what ails a machine ails all on it."""

from __future__ import annotations


def host_of(worker: str) -> str:
    """Return the host in a worker's name; ``""`` if there is none.

    Workers that are named by the package are called after their machine and process, and those of Dask by an address.

    >>> from asyncexec.straggler.worker_hosts import host_of
    >>> host_of("node-7:4711"), host_of("tcp://10.0.0.7:8786#2"), host_of("process-4711")
    ('node-7', '10.0.0.7', '')
    """
    _, found, address = worker.rpartition("://")
    host, colon, number = address.partition("#")[0].rpartition(":")
    return host if colon and (number.isdecimal() or found) else ""


class WorkerHosts:
    """The workers of a run by host.

    >>> from asyncexec.straggler.worker_hosts import WorkerHosts
    >>> hosts = WorkerHosts()
    >>> for name in ("a:1", "a:2", "b:3"):
    ...     hosts.add(name)
    >>> sorted(hosts.neighbours("a:1")), hosts.neighbours("b:3"), hosts.shared("b:3")
    (['a:1', 'a:2'], frozenset({'b:3'}), '')
    """

    __slots__ = ("_by_host", "_hosts")

    def __init__(self) -> None:
        self._hosts: dict[str, str] = {}
        self._by_host: dict[str, set[str]] = {}

    def __len__(self) -> int:
        """Return the number of hosts that are known."""
        return len(self._by_host)

    def add(self, worker: str) -> None:
        """Add a worker, by its name in reports."""
        if worker not in self._hosts:
            host = self._hosts[worker] = host_of(worker)
            if host:
                self._by_host.setdefault(host, set()).add(worker)

    def shared(self, worker: str) -> str:
        """Return the worker's host, if it has other workers, and there are other hosts; else ``""``."""
        host = self._hosts.get(worker, "")
        return host if host and len(self._by_host) > 1 and len(self._by_host[host]) > 1 else ""

    def on(self, host: str) -> frozenset[str]:
        """Return the workers of a host that have been seen."""
        return frozenset(self._by_host.get(host, ()))

    def neighbours(self, worker: str) -> frozenset[str]:
        """Return the workers on the worker's host, itself among them; itself alone where no other host is known."""
        return frozenset((worker,)) | self.on(self.shared(worker))
