"""Memories for the tests: one in this process, and clients of a server in front of it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from asyncexec.cluster_memory.host_memory import HostClient, HostMemory
from asyncexec.cluster_memory.server import MemoryServer
from asyncexec.worker.value_files import ValueFiles


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self):
        self.now = 1_000.0

    def __call__(self):
        return self.now


def host_memory(folder: Path, *, quota=None, clock=None) -> HostMemory:
    """A memory whose memory file system and disk are folders."""

    def files():
        for place in ("memory", "disk"):
            (folder / place).mkdir(exist_ok=True, parents=True)
        return ValueFiles(folder / "memory", folder / "disk", threshold=1_000)

    memory = HostMemory(files, quota=quota, clock=clock or Clock())
    memory.open_space("run")
    return memory


def files_in(folder: Path) -> dict[str, int]:
    """The number of files in memory and on disk."""
    return {
        place: len(list((folder / place).iterdir())) if (folder / place).exists() else 0
        for place in ("memory", "disk")
    }


@contextmanager
def served(memory: HostMemory) -> Iterator[MemoryServer]:
    """A server in front of a memory."""
    server = MemoryServer(memory)
    try:
        yield server
    finally:
        server.close()


@contextmanager
def client_of(kind: str, memory: HostMemory, space: str = "run"):
    """A client of the memory, in its process or through a server."""
    if kind == "host":
        yield HostClient(memory, space)
        return
    with served(memory) as server:
        yield server.address(space).open()


def at_once(*functions):
    """Call functions at the same time, and return what they return."""
    results = [None] * len(functions)
    barrier = threading.Barrier(len(functions))

    def call(number):
        barrier.wait()
        results[number] = functions[number]()

    threads = [threading.Thread(target=call, args=(n,)) for n in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
