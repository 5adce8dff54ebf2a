"""Run batches as streaming Ray tasks: submit, follow and kill them."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from functools import partial
from importlib.metadata import version as version_of
from typing import Any

import anyio

from asyncexec.backends.adapters.system_thread import SystemThread
from asyncexec.backends.ray import worker_side
from asyncexec.backends.ray.attempt_file import NO_ATTEMPT, read_attempt
from asyncexec.backends.ray.options import RayOptions
from asyncexec.backends.ray.pending_kills import (
    KILL_SECONDS,
    PENDING_KILLS,
    PendingKills,
    until_gone,
)
from asyncexec.backends.ray.resources import ResourceRequest
from asyncexec.backends.ray.values import RayValues
from asyncexec.errors import BackendError, WorkerLostError
from asyncexec.worker.remote_batch import RemoteBatch

# Larger calls are copied into Ray's object store, which may have to free memory first, and so may block.
LARGE_BYTES = 64_000
# The most times that a call is submitted again which was lost to the kill of another.
MAX_RESUBMISSIONS = 3
# The most seconds that a call takes to end after its last attempt.
ENDING_SECONDS = 0.3
SHUT_DOWN = "executor 'ray': Ray was shut down in this process while it was used"

_log = logging.getLogger(__name__)


class RayTasks:
    """Runs batches as Ray tasks; made each time that Ray is opened.

    Parameters
    ----------
    options : RayOptions
    thread : SystemThread
        Runs what blocks.
    kills : PendingKills
        Where the kills of this process are noted.

    Attributes
    ----------
    values : RayValues
        The large values that calls have made.
    """

    def __init__(
        self,
        options: RayOptions | None = None,
        thread: SystemThread | None = None,
        kills: PendingKills = PENDING_KILLS,
    ) -> None:
        self._options = options
        self._thread = thread
        self._kills = kills
        self.values = RayValues()
        self._functions: dict[ResourceRequest, Any] = {}

    async def run(
        self, call: RemoteBatch, record: str | None, request: ResourceRequest
    ) -> AsyncIterator[bytes]:
        """Run ``call`` on a worker, and yield its frames as they arrive; kill the worker when cancelled.

        A call that Ray has placed on a worker which was just being killed is submitted again.
        """
        for left in reversed(range(MAX_RESUBMISSIONS + 1)):
            reported = False
            try:
                async for frame in self._frames(call, record, request):
                    reported = True
                    yield frame
            except Exception as error:
                begun = reported or read_attempt(record) is not None
                if begun or not left or not (_is_loss(error) and self._kills.recent):
                    raise
            else:
                return

    async def _frames(
        self, call: RemoteBatch, record: str | None, request: ResourceRequest
    ) -> AsyncIterator[bytes]:
        stream: Any = None
        # Without its stream a call could not be killed, so submitting is not cancelled.
        with anyio.CancelScope(shield=True):
            stream = await self._submit(call, record, request)
        try:
            async for reference in stream:
                frame = await reference
                if type(frame) is tuple:
                    frame, keys = frame
                    for key in keys:
                        self.values.add(key, await anext(stream))
                yield frame
        except anyio.get_cancelled_exc_class():
            await _kill(stream, record, self._kills)
            raise

    async def _submit(self, call: RemoteBatch, record: str | None, request: ResourceRequest) -> Any:
        import ray

        if not ray.is_initialized():
            raise BackendError(SHUT_DOWN)  # Otherwise Ray would start another by itself.
        function = self._function(request)
        limits = self._options is not None and self._options.limits
        allowed = request.memory_bytes if limits else 0
        submit = partial(function.remote, call, record, allowed, self.values.read_by(call))
        if self._thread is not None and _is_large(call):
            return await self._thread.run(submit)
        return submit()

    def plain(self, function: Any) -> Any:
        """Return a Ray function that takes no resources, and runs on a worker like those of tasks."""
        import ray

        return ray.remote(num_cpus=0, max_retries=0, **self._environment)(function)

    @property
    def _environment(self) -> dict[str, Any]:
        env = {} if self._options is None else self._options.task_env
        return {"runtime_env": env} if env else {}

    def _function(self, request: ResourceRequest) -> Any:
        """Return the Ray function for calls with these resources; cached, as making it costs more than calling it."""
        function = self._functions.get(request)
        if function is None:
            import ray

            options = {**request.options, **self._environment}
            if self._options is not None and self._options.calls_per_worker is not None:
                options["max_calls"] = self._options.calls_per_worker
            decorate = ray.remote(num_returns="streaming", max_retries=0, **options)
            function = self._functions[request] = decorate(worker_side.frames)
        return function


async def check_ray_workers(remote: RayTasks) -> None:
    """Check that workers can run tasks at all, and warn if they have another version of asyncexec.

    Raises BackendError if they cannot.
    """
    try:
        theirs = await remote.plain(worker_side.version).remote()
    except Exception as error:
        meant = classify_error(error)
        if isinstance(meant, BackendError):
            raise meant from error
        raise BackendError(
            f"executor 'ray': no worker could be tried out: {_first_line(error)}"
        ) from error
    ours = version_of("asyncexec")
    if theirs != ours:
        _log.warning("Ray's workers have asyncexec %s, and this process has %s", theirs, ours)


def classify_error(error: Exception) -> Exception:
    """Return the meaning of an error of a call: a lost worker, too little memory, or a broken system."""
    import ray
    from ray.exceptions import (
        OutOfMemoryError,
        RayTaskError,
        RuntimeEnvSetupError,
    )

    if isinstance(error, BackendError):
        return error
    if isinstance(error, OutOfMemoryError):
        return MemoryError(f"Ray ended the worker because its machine ran out of memory: {error}")
    if isinstance(error, RuntimeEnvSetupError):
        return BackendError(
            f"executor 'ray': the environment asked for with pip, env_vars, working_dir or py_modules cannot be made: "
            f"{_last_line(error)}"
        )
    if isinstance(error, RayTaskError):
        return BackendError(
            f"executor 'ray': a worker cannot run tasks: {_last_line(error)}. Workers need asyncexec and what it "
            f"depends on, in the versions that are here: have them in their image, or give pip or py_modules"
        )
    if not ray.is_initialized():
        return BackendError(SHUT_DOWN)
    return WorkerLostError(f"Ray's worker is gone: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _last_line(error: Exception) -> str:
    """Return the last line of a message with a traceback, which names the error."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip(" .")]
    return lines[-1] if lines else type(error).__name__


def _is_large(call: RemoteBatch) -> bool:
    size = len(call.blob or b"")
    for job in call.jobs:
        for value in job.inputs:
            size += sum(len(getattr(v, "data", b"")) for v in getattr(value, "values", (value,)))
        if size > LARGE_BYTES:
            return True
    return False


def _is_loss(error: Exception) -> bool:
    from ray.exceptions import WorkerCrashedError

    return isinstance(error, WorkerCrashedError)


async def _kill(stream: Any, record: str | None, kills: PendingKills) -> None:
    """Kill the worker of a call, and wait until it is dead, or the call turns out to have ended."""
    import ray

    kills.note()
    try:
        with anyio.CancelScope(shield=True), anyio.move_on_after(KILL_SECONDS):
            if await _is_ending(stream, record):
                return
            try:
                ray.cancel(stream, force=True)
                async for frame in stream:
                    await frame
            except Exception:  # noqa: BLE001 - whatever Ray raises, only the end of the worker counts
                # Ray raises also for tasks that have not started, and before the process has gone.
                if (begun := read_attempt(record)) is not None:
                    await until_gone(begun[1])
    finally:
        kills.note()


async def _is_ending(stream: Any, record: str | None) -> bool:
    """Return True where a call runs no attempt any more, and ends by itself at once.

    Ray ends this process ("Tried to complete task that was not pending") where it is to cancel what is just ending.
    """
    begun = read_attempt(record)
    if begun is None or begun[0] != NO_ATTEMPT:
        return False
    with anyio.move_on_after(ENDING_SECONDS):
        try:
            async for frame in stream:
                await frame
        except Exception:  # noqa: BLE001 - the worker is gone, whatever Ray raises for it
            return False
        return True
    return False
