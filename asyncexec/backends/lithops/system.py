"""Lithops as a system whose calls block."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from asyncexec.backends.contract import Capabilities
from asyncexec.backends.lithops.configuration import Configuration
from asyncexec.backends.lithops.executor import JobExecutor
from asyncexec.backends.lithops.handles import CallHandle
from asyncexec.backends.lithops.watch import Watch
from asyncexec.errors import AsyncexecError, BackendError
from asyncexec.worker.remote_batch import RemoteBatch

_FETCHERS = 16


class LithopsSystem:
    """Jobs of Lithops.

    On this machine Lithops runs the jobs of an executor one after another, and what it can end is a job: so there each
    call is a job of its own, on an executor of its own. Elsewhere one executor takes all calls that are ready, as one
    job.
    """

    def __init__(self, configuration: Configuration, capabilities: Capabilities) -> None:
        self.capabilities = capabilities
        self._configuration = configuration
        self._executors: list[JobExecutor] = []
        self._watch: Watch | None = None

    def open(self) -> int:
        """Make the executors, and return how many calls they run at once."""
        self.close(idle=False)
        try:
            for _ in range(self._configuration.executors):
                self._executors.append(JobExecutor(self._configuration))
        except AsyncexecError:
            raise
        except Exception as error:
            self.close(idle=False)
            raise BackendError(
                f"executor 'lithops': Lithops could not be started on {self._configuration.place!r}: {error}"
            ) from error
        self._watch = Watch(fetchers=1 if self._configuration.is_local else _FETCHERS)
        return self._configuration.executors * self._configuration.calls

    def submit(self, call: Callable[[], Any], /) -> CallHandle:
        """Have one call run."""
        return self.submit_many([call])[0]

    def submit_many(self, calls: Sequence[Callable[[], Any]], /) -> list[CallHandle]:
        """Have calls run, in as few jobs as suits."""
        if self._watch is None:
            raise BackendError("executor 'lithops' is not open")
        remote = [call for call in calls if isinstance(call, RemoteBatch)]
        if not self._configuration.is_local:
            handles = self._executors[0].submit(remote)
        else:
            handles = []
            for call in remote:
                free = next(e for e in self._executors if not e.busy)
                handles += free.submit([call])
        self._watch.add(handles)
        return handles

    def broken_by(self, error: BaseException, /) -> bool:
        """Whether Lithops is gone with all its workers: it has none of its own that could be."""
        return False

    def close(self, *, idle: bool) -> None:
        """End what runs, and clean up."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None
        executors, self._executors = self._executors, []
        with ExitStack() as each:
            for executor in executors:
                each.callback(executor.close)
