"""The cluster memory of Dask clusters that run elsewhere: it is held by a nanny, or by what there is in its place.

A nanny lives on when its worker is killed with the task that it runs. Requests are functions that Dask runs there at
once, outside of its queue of tasks: a task that waits for the memory cannot keep it from answering.
"""

from __future__ import annotations

import asyncio
import io
import pickle
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from asyncexec.cluster_memory.answers import answer
from asyncexec.cluster_memory.client import RequestingClient
from asyncexec.cluster_memory.entries import memory_closed
from asyncexec.cluster_memory.host_memory import WHERE, HostMemory, pickle_shared
from asyncexec.cluster_memory.keys import key_not_found
from asyncexec.cluster_memory.messages import Message
from asyncexec.errors import AsyncexecError, ClusterMemoryError, UsageError
from asyncexec.events.outcome import ValueHandle
from asyncexec.storage.places.locked_directory import LockedDirectory
from asyncexec.worker.value_files import ValueFiles
from asyncexec.worker.value_layout import file_contents, load_value, value_pieces, write_value

ANSWER_SECONDS = 300.0
CLOSE_SECONDS = 5.0
FORGOTTEN_SECONDS = 24 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DaskMemoryAddress:
    """The address of a space.

    Attributes
    ----------
    holder : str
        The Dask address of the process that holds it.
    by : str
        The name by which that process is asked to run a function.
    engine : str
        The engine's key there.
    quota : int or None
    space : str
    """

    holder: str
    by: str
    engine: str
    quota: int | None
    space: str

    def open(self) -> DaskMemoryClient:
        """Return a client for tasks of a Dask worker."""
        return DaskMemoryClient(self, _WorkerSide())


class DaskMemoryClient(RequestingClient):
    """The memory of one space.

    Parameters
    ----------
    address : DaskMemoryAddress
    side : object
        Sends requests: from a worker, or from the driver.
    """

    def __init__(self, address: DaskMemoryAddress, side: _WorkerSide | _DriverSide) -> None:
        self._address = address
        self._side = side

    def put(self, namespace: str, key: str, value: Any, ttl: float | None) -> None:
        """Store a value."""
        buffers: list[pickle.PickleBuffer] = []
        data = pickle_shared(value, buffers)
        whole = io.BytesIO()
        write_value(whole, data, [buffer.raw() for buffer in buffers])
        self._call("put", namespace, whole.getvalue(), key=key, ttl=ttl)

    def get(self, namespace: str, key: str) -> Any:
        """Return a value."""
        said, body = self._call("get", namespace, key=key)
        if "missing" in said:
            raise key_not_found(key, namespace, said["missing"], WHERE)
        return load_value(bytearray(body))

    def _call(self, do: str, namespace: str, body: bytes = b"", **more: Any) -> Message:
        said = {"do": do, "space": self._address.space, "namespace": namespace, **more}
        try:
            answered, returned = self._side.call(self._address, said, body)
        except (OSError, TimeoutError) as error:
            raise ClusterMemoryError(
                f"the cluster memory of this run is lost: {self._address.holder}, which held it, does not answer: "
                f"{error}. Run the plan again"
            ) from error
        if isinstance(answered, Exception):
            raise answered
        return answered, returned


class _WorkerSide:
    """Sends requests from a task, by the connections of the Dask worker that it runs on."""

    def call(self, address: DaskMemoryAddress, said: dict[str, Any], body: bytes) -> Any:
        from distributed.worker import Worker

        instances: Any = Worker._instances  # noqa: SLF001 - a thread of ours has no other way to the worker
        worker = next((each for each in instances if each.status.name == "running"), None)
        if worker is None:
            raise UsageError("this cluster memory can be used in tasks on Dask workers only")

        async def send() -> Any:
            run = getattr(worker.rpc(address.holder), address.by)
            return _result_of(await run(**_request(address, said, body)))

        loop = worker.loop.asyncio_loop
        return asyncio.run_coroutine_threadsafe(send(), loop).result(ANSWER_SECONDS)


class _DriverSide:
    """Sends requests from the driver, by way of the scheduler: workers may be out of its reach."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._loop: asyncio.AbstractEventLoop = client.loop.asyncio_loop

    def call(self, address: DaskMemoryAddress, said: dict[str, Any], body: bytes) -> Any:
        if threading.get_ident() == getattr(self._loop, "_thread_id", None):
            raise UsageError(
                "a blocking call in the event loop of the engine would wait for itself: await the method instead"
            )
        sent = self.send(address, said, body)
        return asyncio.run_coroutine_threadsafe(sent, self._loop).result(ANSWER_SECONDS)

    async def send(self, address: DaskMemoryAddress, said: dict[str, Any], body: bytes) -> Any:
        scheduler, request = self._client.scheduler, _request(address, said, body)
        if address.by == "run_function":
            return _result_of(await scheduler.run_function(**request))
        message = {"op": address.by, **request}
        return _result_of(await scheduler.proxy(msg=message, worker=address.holder))


class DaskMemoryHost:
    """The cluster memories of an engine on a Dask cluster.

    Parameters
    ----------
    client : distributed.Client
        That of the engine.
    holder : str or None
        The nanny or worker that holds them; None for the scheduler, where there is no worker yet.
    quota : int or None
    """

    def __init__(self, client: Any, holder: str | None, quota: int | None) -> None:
        self._side = _DriverSide(client)
        self._base = DaskMemoryAddress(
            holder=holder or client.scheduler.address,
            by="run_function" if holder is None else "run",
            engine=uuid4().hex,
            quota=quota,
            space="",
        )

    def address(self, space: str) -> DaskMemoryAddress:
        """Return the address of a space."""
        base = self._base
        return DaskMemoryAddress(
            holder=base.holder, by=base.by, engine=base.engine, quota=base.quota, space=space
        )

    def client(self, space: str) -> DaskMemoryClient:
        """Return a client for the driver."""
        return DaskMemoryClient(self.address(space), self._side)

    async def close_space(self, space: str) -> None:
        """Delete a space."""
        await self._end({"do": "close", "space": space})

    async def close(self) -> None:
        """Delete everything."""
        await self._end({"do": "end"})

    async def _end(self, said: dict[str, Any]) -> None:
        # If its holder is gone, so are they.
        with suppress(Exception):
            await asyncio.wait_for(self._side.send(self._base, said, b""), CLOSE_SECONDS)


class _Held:
    """The memory of one engine, in the process that holds it."""

    def __init__(self, quota: int | None) -> None:
        self.used_at = time.monotonic()
        self.ended: set[str] = set()
        self.directory = LockedDirectory.make()
        files = ValueFiles(None, self.directory.path)
        self.memory = HostMemory(lambda: files, quota=quota)

    def answer(self, said: dict[str, Any], body: bytes) -> tuple[Any, bytes]:
        self.used_at = time.monotonic()
        space = str(said["space"])
        if space in self.ended:
            raise memory_closed()
        self.memory.open_space(space)
        for _ in range(5):
            answered, returned = answer(self.memory, said, memoryview(body))
            if "at" not in answered:
                return answered, returned
            with suppress(FileNotFoundError):  # It has just been replaced.
                return {}, _contents(self.memory.files.path(ValueHandle(*answered["at"])))
        raise ClusterMemoryError("a value of the cluster memory changes faster than it is read")


_HELD: dict[str, _Held] = {}
_LOCK = threading.Lock()


async def memory_request(
    engine: str, quota: int | None, said: dict[str, Any], body: bytes
) -> tuple[Any, bytes]:
    """Answer a request in the process that holds the memory; an error is returned, for Dask would log it as its own."""
    return await asyncio.to_thread(_answered, engine, quota, said, body)


def _answered(
    engine: str, quota: int | None, said: dict[str, Any], body: bytes
) -> tuple[Any, bytes]:
    ends = said["do"] in {"close", "end"}
    with _LOCK:
        held = _HELD.get(engine)
        if held is None and not ends:
            _forget_abandoned()
            held = _HELD[engine] = _Held(quota)
        if said["do"] == "end":
            _HELD.pop(engine, None)
    if held is None:
        return {}, b""
    if said["do"] == "end":
        held.directory.remove()
    elif said["do"] == "close":
        held.ended.add(said["space"])
        held.memory.close_space(said["space"])
    else:
        try:
            return held.answer(said, body)
        except AsyncexecError as error:
            return error, b""
    return {}, b""


def _forget_abandoned() -> None:
    """Delete the memories of engines that were killed."""
    now = time.monotonic()
    for engine, held in list(_HELD.items()):
        if now - held.used_at > FORGOTTEN_SECONDS:
            del _HELD[engine]
            held.directory.remove()


def _contents(path: Path) -> bytes:
    """Return a value that was moved to disk: there it is the pickle of another file."""
    with path.open("rb") as file:
        data, _ = value_pieces(memoryview(file_contents(file.fileno())))
        return bytes(data)


def _request(address: DaskMemoryAddress, said: dict[str, Any], body: bytes) -> dict[str, Any]:
    arguments = (address.engine, address.quota, said, body)
    return {
        "function": pickle.dumps(memory_request),
        "args": pickle.dumps(arguments),
        "wait": True,
    }


def _result_of(response: Any) -> Any:
    """Return what a function has returned that Dask has run."""
    if response["status"] != "OK":
        raise ClusterMemoryError(
            f"the cluster memory has failed: {response.get('exception_text') or response['status']}. Scheduler and "
            f"workers need the same asyncexec as here"
        )
    return response["result"]
