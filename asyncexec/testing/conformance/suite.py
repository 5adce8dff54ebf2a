"""Base of every part of the suite: it opens backends, waits, and skips."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import anyio
import pytest

from asyncexec.backends.contract import Backend
from asyncexec.testing import kernels
from asyncexec.testing.driving import Driven
from asyncexec.testing.kernels import Held
from asyncexec.testing.patience import scaled

type Factory = Callable[[], Backend]


class Suite:
    """The settings of a suite, and how its tests wait and skip.

    Attributes
    ----------
    patience : float
        Seconds to wait for any one thing before it counts as missing; more on a machine that is slow or busy.
    shares_files : bool
        Whether workers see the files that a test makes. Without it, half of the rules cannot be checked.
    owns_workers : bool
        Whether the workers are the backend's own, so that leaving it ends them.
    runs_at_once : bool
        Whether attempts of a program with ``concurrency`` run at once, rather than one after another all the same.
    options : set of str
        Those of ``env_vars`` and ``resources`` that the constructor takes.
    library_threads : tuple of str
        The beginnings of the names of threads that the system's library starts once, and keeps.
    """

    patience: ClassVar[float] = 20.0
    shares_files: ClassVar[bool] = True
    owns_workers: ClassVar[bool] = True
    runs_at_once: ClassVar[bool] = True
    options: ClassVar[frozenset[str] | set[str]] = frozenset()
    library_threads: ClassVar[tuple[str, ...]] = ()

    pytestmark = pytest.mark.asyncio

    def driven(self, backend: Factory) -> Driven:
        """Return a backend that a test can drive."""
        return Driven(backend(), patience=self.patience)

    @pytest.fixture
    def files(self, tmp_path: Path) -> Path:
        """Return a directory that workers see."""
        if not self.shares_files:
            pytest.skip("workers do not see the test's files")
        return tmp_path

    @staticmethod
    def need(holds: object, why: str) -> None:
        """Skip the test, and say why, unless ``holds``."""
        if not holds:
            pytest.skip(why)

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait for something that no report says."""
        patience = scaled(self.patience)
        deadline = time.monotonic() + patience
        while not holds():
            assert time.monotonic() < deadline, f"{what}: not within {patience:g} s"
            await anyio.sleep(kernels.POLL_SECONDS)

    def threads(self) -> set[threading.Thread]:
        """Return the threads of this process, without those that a library keeps for as long as it is loaded."""
        every = threading.enumerate()
        return {thread for thread in every if not thread.name.startswith(self.library_threads)}

    async def until_threads_end(self, before: set[threading.Thread]) -> None:
        """Wait until there are no other threads than ``before``."""
        patience = scaled(self.patience)
        deadline = time.monotonic() + patience
        while left := self.threads() - before:
            names = sorted(thread.name for thread in left)
            assert time.monotonic() < deadline, f"threads left after {patience:g} s: {names}"
            await anyio.sleep(kernels.POLL_SECONDS)

    async def quiet(self, held: Held, task: int) -> None:
        """Wait until ``task`` has stopped leaving its trace."""
        sizes: list[int] = []

        def still() -> bool:
            # Forty times what the task needs to write again.
            sizes.append(held.traced(task))
            return len(sizes) > 40 and len(set(sizes[-40:])) == 1

        await self.until(still, "the end of what a killed task does")
