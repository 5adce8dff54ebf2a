"""Lithops as a system whose calls block."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from asyncexec.backends.adapters.blocking_system import CallLostError
from asyncexec.backends.contract import Capabilities
from asyncexec.backends.lithops.configuration import LithopsConfiguration
from asyncexec.backends.lithops.executor import LithopsExecutor, LithopsHandle
from asyncexec.backends.lithops.watcher import HandleWatcher
from asyncexec.errors import AsyncexecError, BackendError
from asyncexec.worker.remote_batch import RemoteBatch

_FETCHERS = 16


class LithopsSystem:
    """Calls that run as Lithops jobs.

    On this machine a Lithops executor runs its jobs one after another, and only a whole job can be killed: so there
    each call is a job of its own, on an executor of its own. Elsewhere one executor takes all calls that are ready, as
    one job.
    """

    def __init__(self, configuration: LithopsConfiguration, capabilities: Capabilities) -> None:
        self.capabilities = capabilities
        self._configuration = configuration
        self._executors: list[LithopsExecutor] = []
        self._watcher: HandleWatcher | None = None

    def open(self) -> int:
        """Create the Lithops executors, and return the number of calls they run at once."""
        self.close(idle=False)
        if missing := self._configuration.missing_interpreter:
            raise BackendError(
                f"executor 'lithops': there is no Python interpreter {missing!r} here: runtime names the one that "
                f"runs tasks, by default this one"
            )
        try:
            for _ in range(self._configuration.executors):
                self._executors.append(LithopsExecutor(self._configuration))
        except AsyncexecError:
            raise
        except Exception as error:
            self.close(idle=False)
            raise BackendError(
                f"executor 'lithops': Lithops could not be started on {self._configuration.backend_name!r}: {error}"
            ) from error
        self._watcher = HandleWatcher(fetchers=1 if self._configuration.is_local else _FETCHERS)
        return self._configuration.executors * self._configuration.calls

    def submit(self, call: Callable[[], Any], /) -> LithopsHandle:
        """Submit one call."""
        return self.submit_many([call])[0]

    def submit_many(self, calls: Sequence[Callable[[], Any]], /) -> list[LithopsHandle]:
        """Submit calls, as few jobs as possible."""
        if self._watcher is None:
            raise BackendError("executor 'lithops' is not open")
        remote = [call for call in calls if isinstance(call, RemoteBatch)]
        if not self._configuration.is_local:
            handles = self._start(self._executors[0], remote)
        else:
            handles = []
            for call in remote:
                free = next(e for e in self._executors if not e.busy)
                handles += self._start(free, [call])
        self._watcher.add(handles)
        return handles

    def _start(
        self, executor: LithopsExecutor, calls: Sequence[RemoteBatch]
    ) -> list[LithopsHandle]:
        """Have Lithops start calls; where it cannot, that is no failure of their tasks.

        Raises BackendError if its runtime or its files are not there, and CallLostError for anything else, which may
        go better next time.
        """
        try:
            return executor.submit(calls)
        except AsyncexecError:
            raise
        except (FileNotFoundError, PermissionError, NotADirectoryError) as error:
            raise BackendError(
                f"executor 'lithops': Lithops cannot start calls on {self._configuration.backend_name!r}: {error}. "
                f"Check its runtime"
            ) from error
        except Exception as error:
            raise CallLostError(
                self._configuration.backend_name,
                f"Lithops could not start the call: {type(error).__name__}: {error}",
            ) from error

    def broken_by(self, error: BaseException, /) -> bool:
        """Return False: Lithops has no workers of its own that could be gone."""
        return False

    def close(self, *, idle: bool) -> None:
        """End running jobs, and remove what they have left."""
        if self._watcher is not None:
            self._watcher.close()
            self._watcher = None
        executors, self._executors = self._executors, []
        with ExitStack() as each:
            for executor in executors:
                each.callback(executor.close)
