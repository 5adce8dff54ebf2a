"""Where containers run: each a process with a socket of its own to its side of the control plane."""

import asyncio
import json
import socket
from pathlib import Path

from tests.backends.modal.server.container import Container
from tests.backends.modal.server.grpc import serve
from tests.backends.modal.server.http import Web
from tests.backends.modal.server.queues import Queues
from tests.backends.modal.server.state import Function
from tests.backends.modal.server.worker_side import Worker


class Host:
    """Starts containers where inputs wait, and hears of their ends."""

    def __init__(self, zygote: socket.socket, directory: Path, web: Web) -> None:
        self._zygote = zygote
        self._directory = directory
        self._writer: asyncio.StreamWriter | None = None
        self.web = web
        self.queues = Queues()
        self.secrets: dict[str, dict[str, str]] = {}
        self.running: dict[str, Container] = {}
        self._ending: set[asyncio.Task] = set()

    async def watch(self) -> None:
        """Follow what the zygote says."""
        reader, self._writer = await asyncio.open_connection(sock=self._zygote)
        while line := await reader.readline():
            said = json.loads(line)
            container = self.running.get(said["task_id"])
            if container is None:
                continue
            if "pid" in said:
                container.began(said["pid"])
            else:
                self._ended(container, said["exit"])

    def of(self, function: Function) -> list[Container]:
        return [c for c in self.running.values() if c.function is function]

    def wake(self, function: Function) -> None:
        """Give waiting inputs to idle containers, and start more where that is not enough."""
        function.news.tell()
        have = self.of(function)
        spare = sum(c.input is None and not c.leaving for c in have)
        wanted = min(len(function.waiting) - spare, function.most_containers - len(have))
        for _ in range(wanted):
            container = Container(self, function)
            self.running[container.id] = container
            task = asyncio.create_task(self._start(container))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        for container in list(self.running.values()):
            container.kill()
        if self._writer is not None:
            self._writer.close()
        for task in list(self._ending):
            await asyncio.wait([task], timeout=5)

    async def _start(self, container: Container) -> None:
        path = self._directory / f"{container.id}.sock"
        container.server, _ = await serve(Worker(container), path=path)
        arguments = self._directory / f"{container.id}.args"
        arguments.write_bytes(container.arguments().SerializeToString())
        asked = {
            "task_id": container.id,
            "log": str(self._directory / "containers.log"),
            "env": {
                **container.secrets(),
                "MODAL_IS_REMOTE": "1",
                "MODAL_SERVER_URL": f"unix://{path}",
                "MODAL_TASK_ID": container.id,
                "MODAL_CONTAINER_ARGUMENTS_PATH": str(arguments),
            },
        }
        assert self._writer is not None
        self._writer.write(json.dumps(asked).encode() + b"\n")
        await self._writer.drain()

    def _ended(self, container: Container, code: int) -> None:
        del self.running[container.id]
        container.ended(code)
        if container.server is not None:
            container.server.close()
        if not container.function.app.stopped:
            self.wake(container.function)
