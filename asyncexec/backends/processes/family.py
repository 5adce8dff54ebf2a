"""The processes that tasks have started: found and killed with their worker, whatever they did to get away from it.

A process is found by its ancestors, as long as its worker runs: that is made the parent of what its descendants leave
behind (a "subreaper" of Linux), so that a daemon is still below it. When the worker is gone, it is found by a mark in
the environment that all of a pool's processes have from their workers. Elsewhere than on Linux only the process group
of the worker is known.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import signal
import sys
import time
from collections.abc import Collection, Iterable

MARK = "ASYNCEXEC_POOLS"
"""The environment variable with the marks of the pools, one within the other, that a process belongs to."""

_ADOPT_ORPHANS = 36  # PR_SET_CHILD_SUBREAPER
_PROC = "/proc"
_MOST_BYTES = 1 << 21
# Workers that are killed together are looked for in one table of processes.
_TABLE_SECONDS = 0.01
_MOST_ROUNDS = 20


class Lifeline:
    """Has the system kill a process group as soon as this process has gone, however that comes.

    It is a pipe with both ends here. When the end for writing is closed, the system signals the group to which the
    other end was given, if that is still open. Of a process that has gone, Linux closes the files from the last to the
    first, and the end for writing has the higher number.
    """

    __slots__ = ("_read", "_write")

    def __init__(self) -> None:
        self._read, write = os.pipe()
        self._write = write
        if write < self._read:
            self._write = fcntl.fcntl(write, fcntl.F_DUPFD_CLOEXEC, self._read + 1)
            os.close(write)

    @classmethod
    def of(cls, group: int) -> Lifeline | None:
        """Return that of a process group; None where the system has no such thing."""
        if sys.platform != "linux":
            return None
        lifeline = cls()
        read = lifeline._read
        try:
            fcntl.fcntl(read, fcntl.F_SETOWN, -group)
            fcntl.fcntl(read, fcntl.F_SETSIG, signal.SIGKILL)
            fcntl.fcntl(read, fcntl.F_SETFL, fcntl.fcntl(read, fcntl.F_GETFL) | os.O_ASYNC)
        except OSError:  # The group has ended already, or the system is not quite Linux.
            lifeline.close()
            return None
        return lifeline

    def close(self) -> None:
        """Close it, without a signal."""
        os.close(self._read)
        os.close(self._write)


def new_mark() -> str:
    """Return a mark that no other pool has, in any process."""
    return os.urandom(12).hex()


def marked_environment(mark: str) -> dict[str, str]:
    """Return the variable that marks a process and all that it starts, within the pools this process belongs to."""
    outer = os.environ.get(MARK)
    return {MARK: f"{outer},{mark}" if outer else mark}


def kill_family(worker: int) -> None:
    """Kill a worker that has not been reaped, its process group, and all its descendants."""
    below = _descendants([worker], _TABLE.parents())
    # A group can be all zombies, which some systems answer with PermissionError.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(worker, signal.SIGKILL)
    _kill(below)


def kill_descendants() -> None:
    """Kill all that this process has started, and what that has started, until nothing is left."""
    for _ in range(_MOST_ROUNDS):
        if not _has_children():
            return
        below = _descendants([os.getpid()], _parents())
        if not below:
            return
        _kill(below)
        _reap()


def descendants() -> set[int]:
    """Return what this process has started, and what that has started, also if it has ended and nobody asked."""
    return _descendants([os.getpid()], _parents(ended=True))


def kill_all_but(known: Collection[int]) -> None:
    """Kill and reap the descendants of this process that are none of the ``known``, until nothing is left."""
    for _ in range(_MOST_ROUNDS):
        others = descendants().difference(known)
        if not others:
            return
        _kill(others)
        for process in [*others, *others]:  # A child of theirs is one of ours when they have ended.
            with contextlib.suppress(ChildProcessError):
                os.waitpid(process, 0)


def adopt_orphans(*, on: bool = True) -> None:
    """Make this process the parent of what its descendants leave behind, or no longer, where the system can."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_ADOPT_ORPHANS, int(on))


def kill_marked(mark: str) -> int:
    """Kill all processes with this mark, and return how many there were: workers of the pool must have ended."""
    count = 0
    for _ in range(_MOST_ROUNDS):
        found = _marked(mark.encode())
        if not found:
            break
        _kill(found)
        count += len(found)
    return count


def _kill(processes: Iterable[int]) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process, signal.SIGKILL)


def _descendants(roots: Collection[int], parents: dict[int, int]) -> set[int]:
    children: dict[int, list[int]] = {}
    for process, parent in parents.items():
        children.setdefault(parent, []).append(process)
    found: set[int] = set()
    waiting = list(roots)
    while waiting:
        for child in children.get(waiting.pop(), ()):
            if child not in found:
                found.add(child)
                waiting.append(child)
    return found


def _parents(*, ended: bool = False) -> dict[int, int]:
    """Return the parent of every process that still runs, or ``ended``; nothing where the system does not say."""
    found: dict[int, int] = {}
    for process in _processes():
        # The name of the program, in parentheses, may hold anything.
        with contextlib.suppress(OSError, ValueError, IndexError):
            state, parent = _read(process, "stat").rpartition(b")")[2].split()[:2]
            if ended or state != b"Z":
                found[process] = int(parent)
    return found


def _marked(mark: bytes) -> list[int]:
    """Return the processes with a mark in the environment they were started with, those that run."""
    found: list[int] = []
    for process in _processes():
        with contextlib.suppress(OSError):
            if mark in _read(process, "environ"):
                found.append(process)
    return found


def _processes() -> list[int]:
    try:
        return [int(name) for name in os.listdir(_PROC) if name.isdigit()]  # noqa: PTH208 - a fifth of the time
    except OSError:
        return []


def _read(process: int, name: str) -> bytes:
    descriptor = os.open(f"{_PROC}/{process}/{name}", os.O_RDONLY)
    try:
        return os.read(descriptor, _MOST_BYTES)
    finally:
        os.close(descriptor)


def _has_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


class _Table:
    """The table of processes, read again when it is a moment old."""

    def __init__(self) -> None:
        self._parents: dict[int, int] = {}
        self._until = 0.0

    def parents(self) -> dict[int, int]:
        now = time.monotonic()
        if now >= self._until:
            self._parents = _parents()
            self._until = time.monotonic() + _TABLE_SECONDS
        return self._parents


_TABLE = _Table()
