"""Tasks that run in the background while a system is open."""

from __future__ import annotations

import asyncio

import anyio
from anyio.abc import TaskGroup


class BackgroundTasks:
    """A task group inside a task of its own.

    A system is opened and closed in different cancel scopes, in which one task group could not be entered and exited.
    """

    tasks: TaskGroup
    """The task group, after :meth:`start`."""

    def __init__(self) -> None:
        self._host: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Enter the task group."""
        ready = anyio.Event()
        self._host = asyncio.create_task(self._run(ready), name="asyncexec-dask")
        await ready.wait()

    async def end(self) -> None:
        """Cancel the tasks, and wait for their end; raises what they have raised."""
        if self._host is not None:
            self.tasks.cancel_scope.cancel()
            await self._host

    async def _run(self, ready: anyio.Event) -> None:
        async with anyio.create_task_group() as self.tasks:
            ready.set()
            await anyio.sleep_forever()
