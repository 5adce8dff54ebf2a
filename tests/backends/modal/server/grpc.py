"""Servers out of part of Modal's methods; the others answer that they are not implemented."""

import inspect
from collections.abc import Awaitable, Callable
from pathlib import Path

from grpclib import GRPCError, Status
from grpclib.config import Configuration
from grpclib.events import RecvRequest, listen
from grpclib.server import Server, Stream
from modal_proto.api_grpc import ModalClientBase

WINDOW = 64 * 1024 * 1024


def unary(method: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[None]]:
    """Make a method that takes a request and returns the answer what gRPC wants."""

    async def answered(self: object, stream: Stream) -> None:
        request = await stream.recv_message()
        if request is not None:
            await stream.send_message(await method(self, request))

    return answered


def servicer(part: type) -> type:
    """Return ``part`` with every other method of Modal's answering UNIMPLEMENTED."""

    def missing(name: str):
        async def method(self: object, stream: Stream) -> None:
            raise GRPCError(Status.UNIMPLEMENTED, f"this server has no {name}")

        return method

    absent = {
        name: missing(name)
        for name, value in inspect.getmembers(ModalClientBase, inspect.isfunction)
        if getattr(value, "__isabstractmethod__", False) and not hasattr(part, name)
    }
    return type(part.__name__, (part, ModalClientBase), absent)


async def serve(
    handler: object,
    *,
    path: Path | None = None,
    check: Callable[[RecvRequest], Awaitable[None]] | None = None,
) -> tuple[Server, int]:
    """Listen on loopback, or on a Unix socket; returns the server and its port."""
    config = Configuration(http2_connection_window_size=WINDOW, http2_stream_window_size=WINDOW)
    server = Server([handler], config=config)
    if check is not None:
        listen(server, RecvRequest, check)
    if path is not None:
        await server.start(path=str(path))
        return server, 0
    await server.start("127.0.0.1", 0)
    return server, server._server.sockets[0].getsockname()[1]
