"""Runs begin a few in each turn of the event loop, however many are started in one: other tasks are not held up."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

PER_TURN = 8
"""The runs that begin in one turn of the event loop: about 2 ms of work."""


class Starts:
    """The beginnings of runs, in their order; methods belong to the thread of the event loop.

    The first few of a turn begin at once, so that a run by itself waits for nothing.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._left = PER_TURN
        self._waiting: deque[Callable[[], object]] = deque()
        self._next_turn: asyncio.Handle | None = None

    def begin(self, function: Callable[[], object]) -> None:
        """Call ``function``, now or in a later turn of the event loop."""
        if self._takes():
            function()
        else:
            self._waiting.append(function)

    async def turn(self) -> None:
        """Wait until something may begin."""
        if not self._takes():
            turn: asyncio.Future[None] = self._loop.create_future()
            self._waiting.append(partial(_let_begin, turn))
            await turn

    def _takes(self) -> bool:
        """Count a beginning in this turn; return False if there have been enough."""
        if self._next_turn is None:
            self._next_turn = self._loop.call_soon(self._begin_more)
        self._left -= 1
        return self._left >= 0

    def _begin_more(self) -> None:
        self._next_turn = None
        self._left = PER_TURN
        for _ in range(min(PER_TURN, len(self._waiting))):
            self._takes()
            self._waiting.popleft()()


def _let_begin(turn: asyncio.Future[None]) -> None:
    if not turn.done():  # as where it was cancelled meanwhile
        turn.set_result(None)
