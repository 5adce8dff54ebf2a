"""Orders about a call that is under way, in a request of their own: what not to start, and what not to save.

On a platform with many instances such a request may reach another than the one that is meant, which knows nothing of
the call: then attempts run for nothing, and nobody waits for them.
"""

from __future__ import annotations

import json
from typing import NamedTuple

import anyio

from asyncexec.backends.adapters.calls import CallContext
from asyncexec.backends.http.frames import Hello
from asyncexec.worker.control import NOTHING_STOPPED, StopResult

MEDIA_TYPE = "application/x-asyncexec-order"


class Order(NamedTuple):
    """Attempts to stop, of the call that its worker calls so."""

    call: str
    attempts: frozenset[int]


def encode_order(order: Order) -> bytes:
    """Return an order as bytes."""
    return json.dumps({"call": order.call, "stop": sorted(order.attempts)}).encode()


def decode_order(body: bytes) -> Order:
    """Return what :func:`encode_order` made; raises ValueError, TypeError or KeyError if it is something else."""
    told = json.loads(body)
    return Order(str(told["call"]), frozenset(int(attempt) for attempt in told["stop"]))


def encode_stopped(stopped: StopResult | None) -> bytes:
    """Return the answer to an order; None where the call is not known."""
    return json.dumps({"stopped": stopped}).encode()


def decode_stopped(body: bytes) -> StopResult | None:
    """Return what :func:`encode_stopped` made; None also where it is something else."""
    try:
        not_started, left = json.loads(body)["stopped"]
        return StopResult(
            [int(attempt) for attempt in not_started], [int(attempt) for attempt in left]
        )
    except (ValueError, TypeError, KeyError):
        return None


class Orders:
    """Cancels attempts of a call that is under way: they are settled when the worker has said how far it is.

    It may be ahead of what it has told. Where it does not answer, attempts are settled all the same.
    """

    def __init__(self, context: CallContext, worker: str) -> None:
        self.hello = Hello(worker)
        self._context = context
        self._wanted: set[int] = set()
        self._sent = False
        self._changed = anyio.Event()

    async def next(self) -> Order:
        """Wait until attempts are cancelled, and return the order for it."""
        while not self._wanted:
            await self._change()
        wanted, self._wanted = frozenset(self._wanted), set()
        self._sent = True
        return Order(self.hello.call, wanted)

    async def settled(self) -> None:
        """Wait until every order has been answered, or has had its time."""
        while self._wanted or self._sent:
            await self._change()

    def answered(self, order: Order, stopped: StopResult | None) -> None:
        """Take note of the worker's answer to an order; None if there was none."""
        self._sent = False
        self._changed.set()
        if stopped is None:
            self._context.drop_or_interrupt(order.attempts & self._context.pending)
        else:
            self._context.stopped(stopped, self.hello.worker)

    def stop(self, attempts: frozenset[int]) -> StopResult:
        """Have the worker stop attempts, of which :meth:`answered` learns; without one nothing has started."""
        if self.hello.call:
            self._wanted |= attempts
            self._changed.set()
        else:
            self._context.drop_or_interrupt(attempts)
        return NOTHING_STOPPED

    async def _change(self) -> None:
        if self._changed.is_set():
            self._changed = anyio.Event()
        await self._changed.wait()
