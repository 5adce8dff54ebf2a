"""What goes on beside the calls of a system, from its opening to its closing."""

from __future__ import annotations

import asyncio

import anyio
from anyio.abc import TaskGroup


class Beside:
    """A task group in a task of its own, since a system is opened and closed in different cancel scopes.

    Attributes
    ----------
    tasks : TaskGroup
        Once started.
    """

    tasks: TaskGroup

    def __init__(self) -> None:
        self._host: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin."""
        ready = anyio.Event()
        self._host = asyncio.create_task(self._live(ready), name="asyncexec-dask")
        await ready.wait()

    async def end(self) -> None:
        """Cancel what goes on, and wait for its end; raises what it has raised."""
        if self._host is not None:
            self.tasks.cancel_scope.cancel()
            await self._host

    async def _live(self, ready: anyio.Event) -> None:
        async with anyio.create_task_group() as self.tasks:
            ready.set()
            await anyio.sleep_forever()
