"""Queues with partitions, shared by clients and containers."""
# ruff: noqa: N802 - the names are those of Modal's methods

import time
from collections import defaultdict, deque

from google.protobuf.empty_pb2 import Empty
from grpclib import GRPCError, Status
from modal_proto import api_pb2

from tests.backends.modal.server.grpc import unary
from tests.backends.modal.server.state import News, new_id


class Queue:
    def __init__(self) -> None:
        self.parts: dict[bytes, deque[bytes]] = defaultdict(deque)
        self.news = News()


class Queues:
    def __init__(self) -> None:
        self._queues: dict[str, Queue] = {}

    def _find(self, queue_id: str) -> Queue:
        try:
            return self._queues[queue_id]
        except KeyError:
            raise GRPCError(Status.NOT_FOUND, f"there is no queue {queue_id}") from None

    @unary
    async def QueueGetOrCreate(self, request) -> api_pb2.QueueGetOrCreateResponse:
        if request.object_creation_type != api_pb2.OBJECT_CREATION_TYPE_EPHEMERAL:
            raise GRPCError(Status.UNIMPLEMENTED, "only ephemeral queues")
        queue_id = new_id("qu")
        self._queues[queue_id] = Queue()
        return api_pb2.QueueGetOrCreateResponse(queue_id=queue_id, metadata=api_pb2.QueueMetadata())

    @unary
    async def QueueGetById(self, request) -> api_pb2.QueueGetByIdResponse:
        self._find(request.queue_id)
        return api_pb2.QueueGetByIdResponse(
            queue_id=request.queue_id, metadata=api_pb2.QueueMetadata()
        )

    @unary
    async def QueueHeartbeat(self, request) -> Empty:
        self._find(request.queue_id)
        return Empty()

    @unary
    async def QueuePut(self, request) -> Empty:
        queue = self._find(request.queue_id)
        queue.parts[request.partition_key].extend(request.values)
        queue.news.tell()
        return Empty()

    @unary
    async def QueueGet(self, request) -> api_pb2.QueueGetResponse:
        queue = self._find(request.queue_id)
        deadline = time.monotonic() + request.timeout
        while not queue.parts[request.partition_key] and time.monotonic() < deadline:
            await queue.news.wait(deadline - time.monotonic())
        part = queue.parts[request.partition_key]
        values = [part.popleft() for _ in range(min(request.n_values, len(part)))]
        return api_pb2.QueueGetResponse(values=values)
