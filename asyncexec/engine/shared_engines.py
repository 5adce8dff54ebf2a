"""Engines that all calls in one event loop share: one for each executor with its options.

An engine is opened by the first call that needs it, in a task of its own, so that a call that is cancelled meanwhile
takes nothing from the others. It is closed with its loop: ``asyncio.run`` cancels the task in which an engine lives,
``loop.close()`` closes what is still open, and so does the end of the process.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from asyncexec.engine.engine import Engine
from asyncexec.engine.own_task import running_loop
from asyncexec.errors import EngineClosedError

logger = logging.getLogger("asyncexec")

_EXIT_SECONDS = 5.0


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Shared:
    """An engine, and the task that opens it."""

    executor: Any
    executor_options: Mapping[str, Any]
    engine: Engine
    opening: asyncio.Task[Engine]

    @property
    def usable(self) -> bool:
        """False once it could not be opened, has broken, or was closed."""
        return not self.opening.done() or self.engine.is_open

    def serves(self, executor: Any, executor_options: Mapping[str, Any]) -> bool:
        return _same(self.executor, executor) and _same(self.executor_options, executor_options)


class SharedEngines:
    """The shared engines of every event loop of a process."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, list[_Shared]] = (
            WeakKeyDictionary()
        )

    async def engine(self, executor: Any, executor_options: Mapping[str, Any] | None) -> Engine:
        """Return the open engine of the running loop for ``executor`` with these options.

        Raises
        ------
        ConfigurationError, BackendError
            If it cannot be made or opened; the next call tries again.
        UsageError
            If no loop of asyncio is running here.
        """
        loop = running_loop()
        options: Any = {} if executor_options is None else executor_options
        if isinstance(options, Mapping):
            options = dict(options)  # The caller may change it; anything else, the engine refuses.
        shared = self._of(loop)
        found = next((each for each in shared if each.serves(executor, options)), None)
        if found is None or not found.usable:
            engine = Engine(executor, executor_options=options)
            # In a context of its own: it outlives the request whose call happens to be the first.
            opening = loop.create_task(
                _open(engine, instead_of=found),
                name="asyncexec: open a shared engine",
                context=Context(),
            )
            if found is not None:
                shared.remove(found)
            opening.add_done_callback(_retrieve)
            found = _Shared(
                executor=executor, executor_options=options, engine=engine, opening=opening
            )
            shared.append(found)
        return await asyncio.shield(found.opening)

    async def close(self) -> None:
        """Close the engines of the running loop; what runs on them is cancelled."""
        shared = self._by_loop.pop(running_loop(), [])
        for each in shared:
            await asyncio.wait({each.opening})
            await _close(each.engine)

    def close_all(self) -> None:
        """Close the engines of loops that were left open, at the end of the process."""
        if os.getpid() != self._process:
            return  # A fork has the loops of its parent, and none of their threads.
        for loop in tuple(self._by_loop):
            try:
                if loop.is_running():
                    closing = asyncio.run_coroutine_threadsafe(self._close_at_exit(), loop)
                    closing.result(_EXIT_SECONDS)
                elif not loop.is_closed():
                    loop.run_until_complete(self._close_at_exit())
            except Exception:
                logger.debug("a shared engine could not be closed at exit", exc_info=True)

    async def _close_at_exit(self) -> None:
        asyncio.get_running_loop().set_default_executor(_AtOnce())
        await self.close()

    def _of(self, loop: asyncio.AbstractEventLoop) -> list[_Shared]:
        shared = self._by_loop.get(loop)
        if shared is None:
            if not self._by_loop:
                # Before the pools of concurrent.futures end, which `atexit` comes after and backends close with.
                threading._register_atexit(self.close_all)  # type: ignore[attr-defined]  # noqa: SLF001 - CPython's own pools have no other
            shared = self._by_loop[loop] = []
            self._close_before(loop)
        return shared

    def _close_before(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have ``loop.close()`` close the engines first, for loops that end without ``asyncio.run``."""
        close_loop = loop.close

        def close() -> None:
            if not loop.is_closed() and not loop.is_running():
                loop.run_until_complete(self.close())
            close_loop()

        # A loop that takes no attributes is left to the end of the process.
        with suppress(AttributeError):
            loop.close = close  # type: ignore[method-assign]  # no loop says when it is closed


class _AtOnce(ThreadPoolExecutor):
    """Runs what it is given at once, as no thread can be started when the process ends."""

    def submit[**P, T](self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - raised by the future
            future.set_exception(error)
        return future


async def _open(engine: Engine, *, instead_of: _Shared | None) -> Engine:
    """Open ``engine``, when the one that has broken is closed: the backend may be the same object."""
    if instead_of is not None:
        await _close(instead_of.engine)
    return await engine.__aenter__()


async def _close(engine: Engine) -> None:
    try:
        await engine.__aexit__()
    except EngineClosedError:
        pass  # With its loop, or it could not be opened.
    except Exception:
        logger.warning("%r was closed with an error", engine, exc_info=True)


def _retrieve(opening: asyncio.Task[Engine]) -> None:
    """Look at the error of an opening whose callers were all cancelled, so that asyncio does not complain of it."""
    if not opening.cancelled():
        opening.exception()


def _same(one: Any, other: Any) -> bool:
    if one is other:
        return True
    try:
        return type(one) is type(other) and bool(one == other)
    except Exception:  # noqa: BLE001 - options may be anything, and what cannot be compared is not shared
        return False
