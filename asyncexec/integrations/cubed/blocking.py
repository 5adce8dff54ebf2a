"""Blocking runs, as Cubed calls its executors, also from inside a running event loop.

The engine's event loop has a thread of its own; events are passed to the caller's thread, where callbacks are called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import TYPE_CHECKING

from asyncexec.engine.portal import EnginePortal

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal

    from asyncexec.engine.engine import Engine
    from asyncexec.engine.execution import Execution
    from asyncexec.engine.result import Result
    from asyncexec.events.records import AnyEvent
    from asyncexec.plan.plan import Plan

type Receive = Callable[[Sequence[AnyEvent]], None]


class BlockingEngine(EnginePortal):
    """An engine whose runs are waited for in the caller's thread.

    Parameters are those of :class:`asyncexec.Engine`.
    """

    def run(self, plan: Plan, receive: Receive | None = None) -> Result:
        """Run ``plan`` to its end; what ``receive`` raises stops it, as Ctrl-C does."""
        return run_blocking(self.portal, self.engine, plan, receive)


def run_blocking(
    portal: BlockingPortal, engine: Engine, plan: Plan, receive: Receive | None
) -> Result:
    """Run ``plan`` on ``engine``, which lives on the loop of ``portal``, and wait for its end in this thread."""
    waiting: SimpleQueue[Sequence[AnyEvent] | None] = SimpleQueue()
    observers = () if receive is None else (_Forward(waiting),)

    async def start() -> Execution:
        return engine.start(plan, observers=observers)

    async def ended() -> Result:
        return await execution

    execution = portal.call(start)
    try:
        future = portal.start_task_soon(ended)
        future.add_done_callback(lambda _: waiting.put(None))
        while (events := waiting.get()) is not None:
            if receive is not None:
                receive(events)
        return future.result()
    except BaseException:
        # Ctrl-C, or a callback's error: the caller must not go on while tasks still write.
        portal.call(execution.stopped)
        raise


class _Forward:
    """An observer that passes events on to another thread, for Cubed's callbacks."""

    wants_plan_details = False

    def __init__(self, waiting: SimpleQueue[Sequence[AnyEvent] | None]) -> None:
        self._waiting = waiting

    def observe(self, events: Sequence[AnyEvent]) -> None:
        self._waiting.put(events)
