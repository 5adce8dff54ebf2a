"""A Lithops executor that removes everything its jobs leave, and the handles of its calls."""

from __future__ import annotations

import atexit
import copy
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from pathlib import Path
from typing import Any

from asyncexec.backends.adapters.blocking_system import CallLostError
from asyncexec.backends.adapters.packing import SMALL_PROGRAM_BYTES
from asyncexec.backends.lithops.configuration import LithopsConfiguration
from asyncexec.backends.lithops.worker_side import CallPayload, run_payload
from asyncexec.worker.remote_batch import RemoteBatch

_LATE_ANSWER_SECONDS = 2.0
"""Seconds after the end of a job's process in which answers of its calls may still arrive."""


class LithopsExecutor:
    """A ``lithops.FunctionExecutor``; created and closed in one thread, queried in others."""

    def __init__(self, configuration: LithopsConfiguration) -> None:
        import lithops

        self._configuration = configuration
        # A level of None leaves the program's logging unchanged.
        self._lithops: Any = lithops.FunctionExecutor(
            config=copy.deepcopy(dict(configuration.config)), log_level=None
        )
        # Otherwise the executor would be kept, and cleaned up once more, until the program ends.
        with suppress(AttributeError):
            atexit.unregister(self._lithops._clean_at_exit)  # noqa: SLF001 - there is no public name for it
        self.kills = configuration.is_local
        self._programs: set[str] = set()
        self._open: dict[str, set[str]] = {}
        self._ended: list[str] = []
        self._lock = threading.Lock()

    @property
    def busy(self) -> bool:
        """True while a job has not ended."""
        return bool(self._open)

    @property
    def internal_storage(self) -> Any:
        """The storage of Lithops."""
        return self._lithops.internal_storage

    def submit(self, calls: Sequence[RemoteBatch]) -> list[LithopsHandle]:
        """Submit ``calls`` as one job."""
        self._clean_up()
        payloads = [self._payload(call) for call in calls]
        limit = self._configuration.execution_timeout(max(len(call.jobs) for call in calls))
        futures = list(
            self._lithops.map(
                run_payload, payloads, timeout=limit, **self._configuration.job_arguments()
            )
        )
        with self._lock:
            self._open[futures[0].job_key] = {future.call_id for future in futures}
        return [LithopsHandle(future, self) for future in futures]

    def _payload(self, call: RemoteBatch) -> CallPayload:
        """Return the payload of a call; a large program is put into Lithops' storage once, not into each call."""
        key = f"{self._prefix()}{call.key.hex()}.program"
        if call.blob is not None and len(call.blob) > SMALL_PROGRAM_BYTES:
            if key not in self._programs:
                storage = self._lithops.storage
                storage.put_object(storage.bucket, key, call.blob)
                self._programs.add(key)
            call.blob = None
        return CallPayload(call=call, program=key if call.blob is None else None)

    def _prefix(self) -> str:
        """Return the storage prefix of this executor's functions, where programs are kept too."""
        from lithops.constants import JOBS_PREFIX

        return f"{JOBS_PREFIX}/{self._lithops.executor_id}/"

    # Called by handles, in any thread.

    def kill(self, future: Any) -> None:
        """Kill a job that runs on this machine, with all its processes."""
        self._lithops.compute_handler.clear({future.job_key}, exception=InterruptedError())

    def process_ended(self, future: Any) -> tuple[str, str] | None:
        """Return the name of the job's process on this machine and how it ended; None while it runs, or if unknown."""
        environment = getattr(self._lithops.compute_handler, "env", None)
        process = getattr(environment, "jobs", {}).get(future.job_key)
        if not isinstance(process, subprocess.Popen) or process.poll() is None:
            return None
        return (
            f"lithops:{process.pid}",
            f"the process that Lithops started for the call ended with code {process.returncode} before it answered",
        )

    def forget(self, future: Any) -> None:
        """Drop a call that has ended; Lithops would keep it for good."""
        self._lithops.job_monitor.remove([future])
        with suppress(ValueError):
            self._lithops.futures.remove(future)
        with self._lock:
            calls = self._open.get(future.job_key, set())
            calls.discard(future.call_id)
            if not calls and self._open.pop(future.job_key, None) is not None:
                self._ended.append(future.job_key)

    # Cleaning up.

    def close(self) -> None:
        """End running jobs and Lithops' threads, and remove what its jobs have left."""
        from lithops.job.job import invalidate_function_cache

        self._lithops.__exit__(None, None, None)
        manager = getattr(self._lithops.compute_handler, "job_manager", None)
        if isinstance(manager, threading.Thread):
            manager.join()
        invokers = getattr(self._lithops.invoker, "executor", None)
        if invokers is not None:
            invokers.shutdown(wait=True)
        with self._lock:
            self._ended += self._open
            self._open.clear()
        self._clean_up()
        self._remove(self._prefix())
        invalidate_function_cache(self._lithops.executor_id)

    def _clean_up(self) -> None:
        """Delete the inputs, answers and logs of jobs that have ended."""
        from lithops.constants import JOBS_DIR, JOBS_PREFIX, LOGS_DIR, MODULES_DIR

        with self._lock:
            ended, self._ended = self._ended, []
        for job_key in ended:
            self._remove(f"{JOBS_PREFIX}/{job_key}/", f"{JOBS_PREFIX}/{job_key}-job.json")
            Path(JOBS_DIR, f"{job_key}.done").unlink(missing_ok=True)
            Path(LOGS_DIR, f"{job_key}.log").unlink(missing_ok=True)
            for folder in (MODULES_DIR, JOBS_DIR):
                shutil.rmtree(Path(folder, job_key), ignore_errors=True)

    def _remove(self, prefix: str, *keys: str) -> None:
        storage = self._lithops.storage
        found = [*storage.list_keys(storage.bucket, prefix), *keys]
        storage.delete_objects(storage.bucket, found)


class LithopsHandle:
    """A call, and its future in Lithops, whose state is set by a thread of Lithops."""

    def __init__(self, future: Any, executor: LithopsExecutor) -> None:
        self.future = future
        self.executor = executor
        self._lock = threading.Lock()
        self._done = False
        self._fetching = False
        self._answer: Any = None
        self._error: BaseException | None = None
        self._callbacks: list[Callable[[Any], object]] = []
        self._dead_since: float | None = None

    # Called by the adapter.

    def cancel(self) -> bool:
        """Kill the job, if it runs on this machine; return False if it cannot be killed, or has ended."""
        if not self.executor.kills or self._done or self._fetching:
            return False
        self.executor.kill(self.future)
        return self.finish(error=CancelledError())

    def running(self) -> bool:
        """Return whether a worker is known to run the call."""
        return not self._done and (self.future.running or self._has_answer())

    def result(self) -> Any:
        """Return what the call returned, or raise what it raised."""
        if self._error is not None:
            raise self._error
        return self._answer

    def add_done_callback(self, callback: Callable[[Any], object], /) -> None:
        """Call ``callback(handle)`` when the call has ended."""
        with self._lock:
            if not self._done:
                self._callbacks.append(callback)
                return
        callback(self)

    # Called by the watcher.

    @property
    def done(self) -> bool:
        """True when the call has ended in any way."""
        return self._done

    def claim_fetch(self) -> bool:
        """Return True once, when the answer can be fetched."""
        if self._fetching or not self._has_answer():
            return False
        self._fetching = True
        return True

    def fetch(self) -> None:
        """Fetch the answer from Lithops' storage."""
        try:
            # Without this `throw_except` Lithops replaces the program's `sys.excepthook`.
            answer = self.future.result(
                throw_except=False, internal_storage=self.executor.internal_storage
            )
            error = _failure(self.future) if self.future.error else None
        except Exception as raised:  # noqa: BLE001 - any error here is the reason that there is no answer
            answer, error = None, raised
        self.finish(answer, error)

    def check_lost(self) -> None:
        """Finish the call as lost when its job's process has ended without an answer."""
        ended = self.executor.process_ended(self.future)
        if ended is None:
            return
        now = time.monotonic()
        if self._dead_since is None:
            self._dead_since = now
        elif now - self._dead_since > _LATE_ANSWER_SECONDS:
            self.finish(error=CallLostError(*ended))

    def finish(self, answer: Any = None, error: BaseException | None = None) -> bool:
        """Finish the call; return False if it was finished before."""
        with self._lock:
            if self._done:
                return False
            self._done = True
            self._answer, self._error = answer, error
            callbacks, self._callbacks = self._callbacks, []
        self.executor.forget(self.future)
        for callback in callbacks:
            callback(self)
        return True

    def _has_answer(self) -> bool:
        future = self.future
        return bool(future.ready or future.success or future.done)


def _failure(future: Any) -> BaseException:
    """Return the error for a call without an answer: a lost worker, or what Lithops raised."""
    found = getattr(future, "_exception", None)
    error = found[1] if isinstance(found, tuple) and len(found) > 1 else found
    if not isinstance(error, BaseException) or not str(error):
        error = RuntimeError("Lithops has no answer for the call, and does not say why")
    own = getattr(future, "_handler_exception", False)
    if not own or isinstance(error, MemoryError | TimeoutError):
        return error
    worker = f"{future.activation_id or 'lithops'}:{future.job_key}-{future.call_id}"
    return CallLostError(worker, str(error))
