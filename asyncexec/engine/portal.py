"""An engine on an event loop in a thread of its own, for callers that block."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from anyio.from_thread import BlockingPortal, start_blocking_portal

from asyncexec.engine.engine import Engine


class EnginePortal:
    """An engine and the portal to its event loop; a context manager, which starts and ends both.

    Parameters are those of :class:`asyncexec.Engine`.

    Attributes
    ----------
    engine : Engine
        To be used on its own loop only.
    portal : BlockingPortal
        Runs functions and coroutines on that loop.
    is_open : bool
    """

    def __init__(self, executor: Any, **options: Any) -> None:
        self._executor = executor
        self._options = options
        self._stack: ExitStack | None = None
        self.portal: BlockingPortal
        self.engine: Engine

    @property
    def is_open(self) -> bool:
        """True inside the ``with`` block."""
        return self._stack is not None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.portal = stack.enter_context(start_blocking_portal("asyncio"))
            engine = Engine(self._executor, **self._options)
            self.engine = stack.enter_context(self.portal.wrap_async_context_manager(engine))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        stack, self._stack = self._stack, None
        return stack.__exit__(kind, error, traceback) if stack is not None else None
