"""Kernels and storage with effects that a test can see from outside, on any worker that sees the test's files."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asyncexec.plan.box import Index
from asyncexec.plan.stage import InThread

POLL_SECONDS = 0.005
LONGEST_HOLD_SECONDS = 120.0


def echo(index: Index, *inputs: Any) -> Any:
    """Return the index and the inputs."""
    return (index, *inputs)


async def echo_later(index: Index) -> Index:
    """Return the index, as a coroutine."""
    return index


def process(_index: Index) -> int:
    """Return the id of the worker's process."""
    return os.getpid()


def die(_index: Index) -> None:
    """End the worker's process without further ado."""
    exit_process()


def refuse(index: Index) -> None:
    """Raise a ``ValueError`` that names the index."""
    raise RefusedError(index, "no")


class RefusedError(ValueError):
    """An error that does not survive pickling, as many in the wild do not."""

    def __init__(self, index: Index, reason: str) -> None:
        super().__init__(f"{index} refused: {reason}")


class Protesting:
    """A value that raises ``error`` as it is pickled."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __reduce__(self) -> str:
        raise self.error


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A kernel that runs until it is released, and leaves a trace for as long as it runs.

    ``only`` holds the tasks that wait; the others return at once. Calling it returns the task's index.
    """

    directory: Path
    only: tuple[int, ...] | None = None

    def __call__(self, index: Index) -> Index:
        """Run on the worker."""
        (task,) = index
        self.trace(task).touch()
        if self.only is None or task in self.only:
            self._wait(task)
        return index

    def _wait(self, task: int) -> None:
        deadline = time.monotonic() + LONGEST_HOLD_SECONDS
        with self.trace(task).open("ab", buffering=0) as trace:
            while not self.is_released:
                trace.write(b".")
                time.sleep(POLL_SECONDS)
                if time.monotonic() > deadline:
                    raise TimeoutError(f"task {task} was never released")

    @property
    def is_released(self) -> bool:
        """True once every task may return."""
        return self._released.exists()

    @property
    def _released(self) -> Path:
        return self.directory / "released"

    def release(self) -> None:
        """Let every task return."""
        self._released.touch()

    def trace(self, task: int) -> Path:
        """Return the file that grows while the task runs."""
        return self.directory / f"trace-{task}"

    def began(self, task: int) -> bool:
        """Return whether the task ran at all."""
        return self.trace(task).exists()

    def traced(self, task: int) -> int:
        """Return how often the task has left its trace."""
        return self.trace(task).stat().st_size if self.began(task) else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldAwaiting:
    """A coroutine kernel that awaits until it is released, and leaves a trace for as long as it runs.

    It returns the worker's process and the id of its event loop.
    """

    held: Held

    async def __call__(self, index: Index) -> tuple[int, int]:
        """Run on the worker."""
        deadline = time.monotonic() + LONGEST_HOLD_SECONDS
        with self.held.trace(index[0]).open("ab", buffering=0) as trace:
            while not self.held.is_released:
                trace.write(b".")
                await asyncio.sleep(POLL_SECONDS)
                if time.monotonic() > deadline:
                    raise TimeoutError(f"task {index[0]} was never released")
        return os.getpid(), id(asyncio.get_running_loop())


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """A kernel that waits until so many tasks run at the same time, each in its turn."""

    directory: Path
    tasks: int

    def __call__(self, index: Index) -> int:
        """Run on the worker."""
        (self.directory / f"here-{index[0]}").touch()
        deadline = time.monotonic() + LONGEST_HOLD_SECONDS
        while (there := len(list(self.directory.glob("here-*")))) < self.tasks:
            if time.monotonic() > deadline:
                raise TimeoutError(f"only {there} of {self.tasks} tasks came")
            time.sleep(POLL_SECONDS)
        return there


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Storage with one small file a task; 8 bytes are read and 16 written, whatever is in them."""

    directory: Path

    def load(self, index: Index) -> tuple[tuple[Any, ...], int]:
        """Hand the kernel nothing but the index."""
        return (), 8

    def save(self, index: Index, result: Any) -> int:
        """Write the result down."""
        self.saved(index[0]).write_text(repr(result))
        return 16

    def saved(self, task: int) -> Path:
        """Return the file of a task."""
        return self.directory / f"saved-{task}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FarFiles(Files):
    """The same in a store elsewhere, where tasks are loaded while there is no file called ``away``."""

    requests: int = 4

    async def aload(self, index: Index, in_thread: InThread) -> tuple[tuple[Any, ...], int]:
        """Hand the kernel nothing but the index, when the store is there."""
        self.asked(index[0]).touch()
        while self.away.exists():  # noqa: ASYNC110 - a test removes it, in another process
            await asyncio.sleep(POLL_SECONDS)
        loaded: tuple[tuple[Any, ...], int] = await in_thread(self.load, index)
        return loaded

    async def asave(self, index: Index, result: Any, in_thread: InThread) -> int:
        """Write the result down."""
        written: int = await in_thread(self.save, index, result)
        return written

    @property
    def away(self) -> Path:
        """Return the file that holds up all loading."""
        return self.directory / "away"

    def asked(self, task: int) -> Path:
        """Return the file that says that a task has been loading."""
        return self.directory / f"asked-{task}"


def same_names() -> tuple[Callable[[Index], str], Callable[[Index], str]]:
    """Return two functions of one module with one name, which differ in what they do alone."""

    def make(word: str) -> Callable[[Index], str]:
        def kernel(_index: Index) -> str:
            return word

        return kernel

    return make("one"), make("other")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stumbling:
    """A function of an item that does something bad the first time it sees an item, and returns it the next time.

    With ``always`` there is no next time.
    """

    directory: Path
    deed: Callable[[], object]
    only: tuple[int, ...] = ()
    always: bool = False

    def __call__(self, item: int) -> int:
        """Run on the worker."""
        if item in self.only and (self._first(item) or self.always):
            self.deed()
        return item

    def _first(self, item: int) -> bool:
        try:
            (self.directory / f"tried-{item}").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


def exit_process() -> None:
    """End this process without further ado."""
    os._exit(13)


def lose_connection() -> None:
    """Raise what a network raises on a bad day."""
    raise ConnectionResetError("connection reset by peer")
