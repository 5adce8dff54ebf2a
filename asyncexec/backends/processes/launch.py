"""Start worker processes, notice their end, and kill them with all processes they have started.

A worker is a new interpreter with the driver's import paths, which imports nothing of the user by itself: not
``__main__`` either, so scripts need no guard. It leads a session of its own: Ctrl-C in the terminal does not reach it,
and killing its process group kills its children too.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO, Self

from asyncexec.backends.processes.family import Lifeline, kill_family, marked_environment, new_mark
from asyncexec.backends.processes.page import Page
from asyncexec.errors import BackendError

# One thread per worker: parallelism comes from the workers, and n x n threads fight over n cores.
SINGLE_THREADED = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "BLOSC_NTHREADS": "1",
    "ZARR_THREADING__MAX_WORKERS": "1",
    "ZARR_ASYNC__CONCURRENCY": "4",
}

_BOOT = (
    "import sys; sys.path[:] = sys.argv[5:]; "
    "from asyncexec.backends.processes.worker_side import main; main()"
)
_TAIL_BYTES = 4000
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Launched:
    """A process that has been started."""

    process: subprocess.Popen[bytes]
    socket: socket.socket
    """The driver's end of the socket."""
    page: Page
    errors: IO[bytes]
    """Its stderr until it is ready."""
    lifeline: Lifeline | None
    """Kills its process group if this process is killed; None where the system has no such thing."""

    def error_tail(self) -> str:
        """Return the last lines that it wrote to stderr before it was ready."""
        size = os.fstat(self.errors.fileno()).st_size
        tail = os.pread(self.errors.fileno(), _TAIL_BYTES, max(0, size - _TAIL_BYTES))
        return tail.decode(errors="replace").strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Launcher:
    """The command and the environment of a backend's workers."""

    command: tuple[str, ...]
    """The interpreter and its options."""
    paths: tuple[str, ...]
    """The import paths of workers."""
    directory: str
    """Their working directory."""
    environment: Mapping[str, str]
    stderr: int
    """File descriptor that they write errors to once they are ready."""
    mark: str = ""
    """The mark of its processes (see ``family``)."""

    @classmethod
    def here(cls, variables: Mapping[str, str]) -> Self:
        """Return a launcher whose workers have this process's paths, directory and environment.

        Raises BackendError if the working directory is gone.
        """
        directory = _working_directory()
        mark = new_mark()
        try:
            stderr = os.dup(2)
        except OSError:  # A service that has closed it.
            stderr = os.open(os.devnull, os.O_WRONLY)
        return cls(
            command=(sys.executable, *_interpreter_options()),
            paths=tuple(map(str, sys.path)),
            directory=directory,
            environment={
                **os.environ,
                **SINGLE_THREADED,
                **variables,
                **marked_environment(mark),
            },
            mark=mark,
            stderr=stderr,
        )

    def launch(self) -> Launched:
        """Start a worker.

        Call it in a thread that lives as long as the worker shall: the system ends a worker with the thread that
        started it. Raises BackendError if the system does not let us.
        """
        with contextlib.ExitStack() as undo:
            ours, theirs = socket.socketpair()
            undo.callback(ours.close)
            errors = undo.enter_context(tempfile.TemporaryFile())
            page_descriptor = Page.create()
            page = Page(page_descriptor)
            undo.callback(page.close)
            try:
                process = self._start(theirs.fileno(), page_descriptor, errors)
            except OSError as error:
                raise BackendError(
                    f"a worker process cannot be started ({error}); look at the limits on processes, open files and "
                    f"memory, or use a smaller max_workers"
                ) from error
            finally:
                theirs.close()
                os.close(page_descriptor)
            undo.pop_all()
        return Launched(
            process=process,
            socket=ours,
            page=page,
            errors=errors,
            lifeline=Lifeline.of(process.pid),
        )

    def _start(self, sock: int, page: int, errors: IO[bytes]) -> subprocess.Popen[bytes]:
        numbers = (sock, page, self.stderr, os.getpid())
        return subprocess.Popen(  # noqa: S603 - our own interpreter
            [*self.command, "-c", _BOOT, *map(str, numbers), *self.paths],
            stdin=subprocess.DEVNULL,
            stderr=errors,
            cwd=self.directory,
            env=self.environment,
            pass_fds=(sock, page, self.stderr),
            start_new_session=True,
        )

    def close(self) -> None:
        """Close the descriptor that further workers would need."""
        os.close(self.stderr)


def _working_directory() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - a string is what is needed
    except FileNotFoundError as error:
        raise BackendError(
            "the working directory does not exist any more, so that worker processes cannot be started in it; "
            "change to one that does"
        ) from error


def _interpreter_options() -> list[str]:
    """Return the options of this interpreter (optimisation, warnings and so on), for another."""
    options = ["-" + "O" * sys.flags.optimize] if sys.flags.optimize else []
    options += [f"-W{option}" for option in sys.warnoptions]
    options += [
        f"-X{name}" if value is True else f"-X{name}={value}"
        for name, value in sys._xoptions.items()  # noqa: SLF001 - documented, for all its underscore
    ]
    return options


class Exit:
    """Waits for a process to end, without a thread, and reaps it.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
    process : subprocess.Popen
    ended : callable
        Called once with the return code.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        process: subprocess.Popen[bytes],
        ended: Callable[[int], None],
    ) -> None:
        self._loop = loop
        self._process = process
        self._ended = ended
        self._timer: asyncio.TimerHandle | None = None
        self._descriptor = _process_descriptor(process.pid)
        if self._descriptor is None:
            self._poll()
        else:
            loop.add_reader(self._descriptor, self._over)

    def kill(self) -> None:
        """Kill the process with its group and all its descendants, if it has not been reaped."""
        if self._process.returncode is None:
            kill_family(self._process.pid)

    def forget(self) -> None:
        """Stop waiting."""
        if self._descriptor is not None:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None
        if self._timer is not None:
            self._timer.cancel()

    def _over(self) -> None:
        # Kill its group before reaping it: until then, the group's id cannot be reused.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._reaped(self._process.wait())

    def _poll(self) -> None:
        code = self._process.poll()
        if code is None:
            self._timer = self._loop.call_later(_POLL_SECONDS, self._poll)
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._reaped(code)

    def _reaped(self, code: int) -> None:
        self.forget()
        self._ended(code)


def _process_descriptor(pid: int) -> int | None:
    if sys.platform != "linux":
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None


def describe_exit(code: int) -> str:
    """Describe the end of a process, for people."""
    if code >= 0:
        return f"exited with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    if -code == signal.SIGKILL:
        return (
            f"was killed by {name} (nobody here did that: probably the system was out of memory; "
            f"let tasks need less, or run fewer at once with max_workers)"
        )
    return f"was killed by {name}"
