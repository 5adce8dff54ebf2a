"""The pieces of a task on an event loop: one is computed with in a thread, while the next one is loaded."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from functools import partial
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable as Awaited, Callable, Coroutine, Iterable

    from asyncexec.plan.box import Index

    type Load[T] = Callable[[Index], Coroutine[Any, Any, T]]


async def taken_in_turn(
    kernel: Any,
    index: Index,
    load: Load[tuple[tuple[Any, ...], int]],
    call: Callable[[Callable[[], Any]], Awaited[Any]],
    *,
    ahead: bool = False,
    measured: Callable[[float], object] | None = None,
) -> tuple[Any, int, float]:
    """Return what a task puts out, the bytes that it has read, and the seconds in which it has computed.

    ``kernel`` is a :class:`~asyncexec.plan.stage.PiecewiseKernel`; ``call`` computes, while others load. With
    ``ahead``, the task's own next piece is loaded meanwhile, too. ``measured`` is called with the seconds
    that loading the first piece took, when it was computed with.
    """
    held: Any = None
    total, computing = 0, 0.0
    start = time.perf_counter()
    loads = (_ahead if ahead else _one_by_one)(kernel.pieces(index), load)
    async with aclosing(loads):
        async for piece, (inputs, read) in loads:
            total += read
            taking = partial(kernel.take, held, piece, *inputs)
            del inputs
            held = None
            began = time.perf_counter()
            held = await call(taking)
            computing += time.perf_counter() - began
            del taking
            if measured is not None:
                measured(began - start)
                measured = None
    return await call(partial(kernel.finish, index, held)), total, computing


async def _one_by_one[T](pieces: Iterable[Index], load: Load[T]) -> AsyncGenerator[tuple[Index, T]]:
    """Load and yield one piece after another."""
    for piece in pieces:
        yield piece, await load(piece)


async def _ahead[T](pieces: Iterable[Index], load: Load[T]) -> AsyncGenerator[tuple[Index, T]]:
    """Yield one piece after another, each while the next one is being loaded."""
    loading: asyncio.Task[T] | None = None
    try:
        for piece, following in pairwise(chain(pieces, (None,))):
            assert piece is not None  # noqa: S101 - for type checkers
            loaded = loading or asyncio.ensure_future(load(piece))
            loading = loaded
            await asyncio.wait([loaded])
            # No earlier: two are there at a time, the one that is computed with and the one that comes.
            loading = None if following is None else asyncio.ensure_future(load(following))
            yield piece, await loaded
            del loaded
    finally:
        if loading is not None:
            loading.cancel()
            await asyncio.gather(loading, return_exceptions=True)
