"""What a container may ask of the control plane; it is known by the socket it asks on."""
# ruff: noqa: N802 - the names are those of Modal's methods

from google.protobuf.empty_pb2 import Empty
from grpclib.server import Stream
from modal_proto import api_pb2

from tests.backends.modal.server.blobs import Blobs
from tests.backends.modal.server.container import Container
from tests.backends.modal.server.grpc import servicer, unary


class _Worker(Blobs):
    def __init__(self, container: Container) -> None:
        super().__init__(container.host.web)
        self._container = container
        self.QueueGetById = container.host.queues.QueueGetById
        self.QueueGet = container.host.queues.QueueGet
        self.QueuePut = container.host.queues.QueuePut

    @unary
    async def ContainerHello(self, request: Empty) -> Empty:
        return Empty()

    async def ContainerHeartbeat(self, stream: Stream) -> None:
        await stream.recv_message()
        await stream.send_message(api_pb2.ContainerHeartbeatResponse())

    @unary
    async def FunctionGetInputs(self, request) -> api_pb2.FunctionGetInputsResponse:
        item = await self._container.take()
        if item is None:
            last = api_pb2.FunctionGetInputsItem(kill_switch=True)
            return api_pb2.FunctionGetInputsResponse(inputs=[last])
        return api_pb2.FunctionGetInputsResponse(
            inputs=[
                api_pb2.FunctionGetInputsItem(
                    input_id=item.id,
                    input=item.data,
                    function_call_id=item.call.id,
                    function_call_invocation_type=item.call.invocation,
                    retry_count=item.retry_count,
                    function_map_idx=item.index,
                )
            ]
        )

    @unary
    async def FunctionPutOutputs(self, request) -> Empty:
        for output in request.outputs:
            self._container.put(output)
        return Empty()

    @unary
    async def FunctionCallPutDataOut(self, request) -> Empty:
        item = self._container.input
        if item is not None and item.call.id == request.function_call_id:
            chunks = item.call.chunks
            chunks.extend(c for c in request.data_chunks if c.index == len(chunks) + 1)
            item.call.news.tell()
        return Empty()

    @unary
    async def TaskResult(self, request) -> Empty:
        """The function could not be loaded."""
        self._container.leaving = True
        self._container.refuse_all(request.result)
        return Empty()


Worker = servicer(_Worker)
