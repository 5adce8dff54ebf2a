"""Entering and leaving a backend are bounded, and let a cancelled caller go, whatever the backend does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace

import anyio
import pytest

import asyncexec as ax
from asyncexec.backends.adapters.system_thread import SystemThread, call_abandonably
from asyncexec.engine import backend_life
from asyncexec.errors import BackendError
from tests.instant_backend import InstantBackend

PATIENCE = 30.0


class Stubborn(InstantBackend):
    """A backend whose entering or leaving takes no notice of cancellations until it is released."""

    def __init__(self, *, hangs: str, opening_seconds: float = PATIENCE) -> None:
        super().__init__()
        self.capabilities = replace(
            self.capabilities,
            opening_seconds=opening_seconds,
            opening_advice="Look at stubborn.example:1",
        )
        self.calls: list[str] = []
        self.reached = asyncio.Event()
        self.released = asyncio.Event()
        self.left = asyncio.Event()
        self._hangs = hangs

    async def __aenter__(self):
        await self._maybe_hang("enter")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._maybe_hang("leave")
        self.left.set()

    async def _maybe_hang(self, step: str) -> None:
        self.calls.append(step)
        self.reached.set()
        while step == self._hangs and not self.released.is_set():
            try:
                await self.released.wait()
            except asyncio.CancelledError:
                self.calls.append("cancelled")


async def _entered(backend: InstantBackend) -> None:
    async with ax.Engine(backend):
        raise AssertionError("it cannot be entered")


async def test_a_caller_who_is_cancelled_while_a_backend_hangs_is_let_go() -> None:
    backend = Stubborn(hangs="enter")
    entering = asyncio.create_task(_entered(backend))
    await backend.reached.wait()
    entering.cancel()
    with anyio.fail_after(PATIENCE), pytest.raises(asyncio.CancelledError):
        await entering
    assert backend.calls == ["enter", "cancelled"]
    backend.released.set()
    with anyio.fail_after(PATIENCE):
        await backend.left.wait()  # What was entered too late is left at once.


async def test_a_timeout_around_entering_ends_it() -> None:
    backend = Stubborn(hangs="enter")
    with anyio.fail_after(PATIENCE), pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await _entered(backend)
    backend.released.set()
    await backend.left.wait()


async def test_entering_has_a_bound_and_the_error_says_where_to_look() -> None:
    backend = Stubborn(hangs="enter", opening_seconds=0.05)
    with (
        anyio.fail_after(PATIENCE),
        pytest.raises(BackendError, match=r"'instant'.*within 0\.05 s.*stubborn\.example:1"),
    ):
        await _entered(backend)
    backend.released.set()
    await backend.left.wait()


async def test_a_caller_who_is_cancelled_while_leaving_hangs_is_let_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backend_life, "CANCELLED_LEAVE_SECONDS", 0.05)
    backend = Stubborn(hangs="leave")

    async def use() -> None:
        async with ax.Engine(backend):
            backend.reached.clear()

    using = asyncio.create_task(use())
    while "leave" not in backend.calls:
        await asyncio.sleep(0)
    using.cancel()
    with anyio.fail_after(PATIENCE), pytest.raises(asyncio.CancelledError):
        await using
    backend.released.set()
    await backend.left.wait()


async def test_leaving_that_hangs_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend_life, "LEAVE_SECONDS", 0.05)
    backend = Stubborn(hangs="leave")
    with anyio.fail_after(PATIENCE):
        async with ax.Engine(backend):
            pass
    backend.released.set()
    await backend.left.wait()


class Blocking:
    """A call of a library that blocks until it is released; counts what was undone."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.released = threading.Event()
        self.undone = threading.Event()
        self.results: list[object] = []

    def open(self) -> str:
        self.began.set()
        self.released.wait(PATIENCE)
        return "connection"

    def undo(self, made: str) -> None:
        self.results.append(made)
        self.undone.set()

    async def in_system_thread(self) -> None:
        await SystemThread.opened("hangs", self.open, undo=self.undo)

    async def in_a_thread_of_its_own(self) -> None:
        await call_abandonably(self.open, name="hangs", undo=self.undo)


@pytest.mark.parametrize("way", [Blocking.in_system_thread, Blocking.in_a_thread_of_its_own])
async def test_a_blocking_call_is_abandoned_when_cancelled_and_undone_when_it_returns(
    way: Callable[[Blocking], object],
) -> None:
    blocking = Blocking()
    opening = asyncio.ensure_future(way(blocking))  # type: ignore[arg-type] # a coroutine
    while not blocking.began.is_set():
        await asyncio.sleep(0.001)
    opening.cancel()
    with anyio.fail_after(PATIENCE), pytest.raises(asyncio.CancelledError):
        await opening
    assert not blocking.undone.is_set()
    blocking.released.set()
    assert await asyncio.to_thread(blocking.undone.wait, PATIENCE)
    assert blocking.results == ["connection"]


@pytest.mark.parametrize("again", [None, 0, 1, 3])
async def test_an_engine_cancelled_at_any_turn_of_the_loop_leaves_its_backend(again: int | None):
    """Also in the turn in which the backend has been entered, and nobody has heard of it."""
    before = asyncio.all_tasks()
    for turns in range(60):
        backend = Stubborn(hangs="nothing")
        task = asyncio.create_task(_run_in(backend))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        if again is not None:
            for _ in range(again):
                await asyncio.sleep(0)
            task.cancel()
        await asyncio.wait([task])
        assert backend.calls in ([], ["enter"], ["enter", "leave"]), turns
        assert backend.calls != ["enter"] or not backend.left.is_set(), turns
        assert backend.left.is_set() == ("leave" in backend.calls), turns
        assert asyncio.all_tasks() == before, turns


async def _run_in(backend: InstantBackend) -> None:
    async with ax.Engine(backend) as engine:
        await engine.execute(ax.Plan.map(abs, range(3)))
