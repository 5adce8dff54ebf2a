"""Orders about a call that is under way, in a request of their own: which attempts not to start.

On a platform with many instances such a request may reach another than the one that is meant, which then knows nothing
of it: the attempts run for nothing, and nobody waits for them.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import NamedTuple

import anyio

from asyncexec.backends.adapters.calls import Progress
from asyncexec.events.outcome import Outcome, Status

MEDIA_TYPE = "application/x-asyncexec-order"


class Order(NamedTuple):
    """Which attempts not to start, of the call that its worker calls so."""

    call: str
    dropped: frozenset[int]


def encode_order(order: Order) -> bytes:
    """Return an order as bytes."""
    return json.dumps({"call": order.call, "drop": sorted(order.dropped)}).encode()


def decode_order(body: bytes) -> Order:
    """Return what :func:`encode_order` made.

    Raises
    ------
    ValueError, TypeError, KeyError
        If it is something else.
    """
    told = json.loads(body)
    return Order(str(told["call"]), frozenset(int(attempt) for attempt in told["drop"]))


def encode_obedience(dropped: Collection[int] | None) -> bytes:
    """Return the answer to an order: what will not start; None where the call is not known."""
    return json.dumps({"dropped": None if dropped is None else sorted(dropped)}).encode()


def decode_obedience(body: bytes) -> frozenset[int] | None:
    """Return what :func:`encode_obedience` made; None also where it is something else."""
    try:
        return frozenset(map(int, json.loads(body)["dropped"]))
    except (ValueError, TypeError, KeyError):
        return None


class Orders:
    """Cancels attempts of a call that is under way: what has not started is settled when the worker has agreed.

    The worker may be ahead of what it has told. Where it does not answer, attempts are settled all the same.
    """

    def __init__(self, progress: Progress) -> None:
        self.call = ""
        self._progress = progress
        self._wanted: set[int] = set()
        self._changed = anyio.Event()
        progress.take_over = self._cancel

    async def next(self) -> Order:
        """Wait until attempts are cancelled that may not have started, and return the order for it."""
        while not self._wanted:
            self._changed = anyio.Event()
            await self._changed.wait()
        wanted, self._wanted = frozenset(self._wanted), set()
        return Order(self.call, wanted)

    def answered(self, order: Order, dropped: frozenset[int] | None) -> None:
        """Take note of the worker's answer to an order; None if there was none."""
        rest = self._progress.owed & order.dropped
        gone = rest if dropped is None else rest & dropped
        self._progress.ended(*[Outcome(attempt, Status.CANCELLED) for attempt in gone])
        if rest - gone:
            self._progress.stop(rest - gone)  # They have started.

    def _cancel(self, attempts: frozenset[int]) -> None:
        running = self._progress.running
        started = frozenset(() if running is None else (running.attempt,)) & attempts
        if started or not self.call:
            # As always; and what had not started ends with the call.
            self._progress.take_over = None
            self._progress.cancel(attempts)
            self._progress.take_over = self._cancel
        else:
            self._wanted |= attempts
            self._changed.set()
