"""Workers of one host that are lost together: one event, whatever their number."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncexec.straggler.worker_hosts import WorkerHosts

TOGETHER_SECONDS = 10.0
"""Losses on one host within so long of the one before are one event: heartbeats are missed one after another."""


class HostLosses:
    """The last loss of a worker on each host that several workers share.

    >>> from asyncexec.scheduler.host_losses import HostLosses
    >>> from asyncexec.straggler.worker_hosts import WorkerHosts
    >>> hosts = WorkerHosts()
    >>> for name in ("a:1", "a:2", "b:3", "b:4"):
    ...     hosts.add(name)
    >>> losses = HostLosses(hosts)
    >>> losses.is_known("a:1", now=5.0), losses.is_known("a:2", now=6.0), losses.is_known("b:3", now=6.0)
    (False, True, False)
    """

    __slots__ = ("_hosts", "_last")

    def __init__(self, hosts: WorkerHosts) -> None:
        self._hosts = hosts
        self._last: dict[str, tuple[float, str]] = {}

    def is_known(self, worker: str, *, now: float) -> bool:
        """Record that a worker was lost; return whether another of its host was shortly before."""
        host = self._hosts.shared(worker)
        if not host:
            return False
        before = self._last.get(host)
        self._last[host] = now, worker
        return before is not None and before[1] != worker and now <= before[0] + TOGETHER_SECONDS
