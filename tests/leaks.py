"""Asserts that what was started in a block has ended with it: tasks, threads, processes, files."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from asyncexec.testing.patience import scaled

_POLL_SECONDS = 0.01

# Made by libraries on first use, and kept for the life of the process or of the event loop: nobody's to end.
LIBRARY_THREADS = ("zarr_io", "zarr_pool", "fsspecIO", "AnyIO worker thread", "asyncio_")
LIBRARY_PROCESSES = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")


@dataclass(frozen=True, slots=True)
class Living:
    """What is there at one time."""

    tasks: frozenset[asyncio.Task[object]]
    threads: frozenset[threading.Thread]
    processes: frozenset[int]
    files: frozenset[Path]

    def since(self, before: Living) -> list[str]:
        """Return one line for everything that was not there before."""
        return [
            *(f"task {task.get_name()}" for task in self.tasks - before.tasks),
            *(f"thread {thread.name}" for thread in self.threads - before.threads),
            *(f"process {pid}: {_command(pid)}" for pid in self.processes - before.processes),
            *(f"file {path}" for path in sorted(self.files - before.files)),
        ]


@asynccontextmanager
async def no_leaks(
    *folders: Path | str, patience_seconds: float = 3.0, ignored_threads: Iterable[str] = ()
) -> AsyncGenerator[None]:
    """Assert that nothing outlives the block: no asyncio task, thread, child process, nor file in ``folders``.

    What is on its way out gets ``patience_seconds`` of real time, and more on a busy machine. Threads that libraries
    keep for good are left out, and those whose names begin with one of ``ignored_threads``. Child processes are seen
    on Linux.

    Raises
    ------
    AssertionError
        If something is left behind; it says what.
    """
    ignored = (*LIBRARY_THREADS, *ignored_threads)
    before = living(folders, ignored_threads=ignored)
    yield
    deadline = time.monotonic() + scaled(patience_seconds)
    while left := living(folders, ignored_threads=ignored).since(before):
        if time.monotonic() > deadline:
            raise AssertionError("left behind: " + "; ".join(left))
        await asyncio.sleep(_POLL_SECONDS)
        time.sleep(_POLL_SECONDS)  # noqa: ASYNC251 - threads end in real time, whatever the loop's clock


def living(
    folders: Iterable[Path | str] = (), *, ignored_threads: tuple[str, ...] = LIBRARY_THREADS
) -> Living:
    """Return what there is now; called on an event loop."""
    return Living(
        frozenset(asyncio.all_tasks()),
        frozenset(t for t in threading.enumerate() if not t.name.startswith(ignored_threads)),
        frozenset(_children(os.getpid())),
        frozenset(path for folder in folders for path in Path(folder).rglob("*")),
    )


def _children(pid: int) -> Iterator[int]:
    """Iterate over the process's descendants; those of libraries, and what they started, left out."""
    with suppress(OSError):
        for listed in Path(f"/proc/{pid}/task").glob("*/children"):
            with suppress(OSError):
                for child in map(int, listed.read_text(encoding="ascii").split()):
                    # The fork server is the parent of multiprocessing's workers.
                    if not any(name in _command(child) for name in LIBRARY_PROCESSES):
                        yield child
                    yield from _children(child)


def _command(pid: int) -> str:
    try:
        data = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return "gone"
    return (
        data.replace(b"\0", b" ").decode(errors="replace").strip()
        or "no command: just forked, or a zombie"
    )
