"""Calls of functions: inputs in, outputs out, cancelled or tried again."""
# ruff: noqa: N802 - the names are those of Modal's methods

import asyncio
import time

from google.protobuf.empty_pb2 import Empty
from grpclib import GRPCError, Status
from grpclib.server import Stream
from modal._utils.jwt_utils import DecodedJwt
from modal_proto import api_pb2

from tests.backends.modal.server.blobs import Blobs
from tests.backends.modal.server.grpc import unary
from tests.backends.modal.server.host import Host
from tests.backends.modal.server.http import Web
from tests.backends.modal.server.state import (
    FIRST_ENTRY,
    App,
    Call,
    Function,
    Input,
    Result,
    new_id,
)

GATHER_SECONDS = 0.02


class Calls(Blobs):
    def __init__(self, host: Host, web: Web) -> None:
        super().__init__(web)
        self.host = host
        self.functions: dict[str, Function] = {}
        self._calls: dict[str, Call] = {}

    def calls_of(self, app: App) -> list[Call]:
        return [call for call in self._calls.values() if call.function.app is app]

    def _call(self, call_id: str) -> Call:
        try:
            return self._calls[call_id]
        except KeyError:
            raise GRPCError(Status.NOT_FOUND, f"there is no call {call_id}") from None

    @unary
    async def FunctionMap(self, request) -> api_pb2.FunctionMapResponse:
        function = self.functions[request.function_id]
        if function.app.stopped:
            raise GRPCError(Status.FAILED_PRECONDITION, f"app {function.app.id} has stopped")
        call = Call(new_id("fc"), function, request.function_call_invocation_type)
        self._calls[call.id] = call
        return api_pb2.FunctionMapResponse(
            function_call_id=call.id,
            function_call_jwt=DecodedJwt.encode_without_signature({"call": call.id}),
            pipelined_inputs=self._put(call, request.pipelined_inputs),
            retry_policy=function.definition.retry_policy,
            sync_client_retries_enabled=True,
            max_inputs_outstanding=1000,
        )

    @unary
    async def FunctionPutInputs(self, request) -> api_pb2.FunctionPutInputsResponse:
        call = self._call(request.function_call_id)
        return api_pb2.FunctionPutInputsResponse(inputs=self._put(call, request.inputs))

    def _put(self, call: Call, items) -> list[api_pb2.FunctionPutInputsResponseItem]:
        put = [Input(new_id("in"), item.idx, call, item.input) for item in items]
        call.inputs.update((item.id, item) for item in put)
        call.function.waiting.extend(put)
        if put:
            self.host.wake(call.function)
        return [item.item() for item in put]

    @unary
    async def FunctionRetryInputs(self, request) -> api_pb2.FunctionRetryInputsResponse:
        jwts = []
        for asked in request.inputs:
            told = DecodedJwt.decode_without_verification(asked.input_jwt).payload
            call = self._call(told["call"])
            item = call.inputs[told["input_id"]]
            item.done, item.retry_count = False, item.retry_count + 1
            call.function.waiting.append(item)
            self.host.wake(call.function)
            jwts.append(item.jwt)
        return api_pb2.FunctionRetryInputsResponse(input_jwts=jwts)

    @unary
    async def FunctionGetOutputs(self, request) -> api_pb2.FunctionGetOutputsResponse:
        call = self._call(request.function_call_id)
        if request.clear_on_success and not request.timeout:
            # The client has all it wants.
            self._calls.pop(call.id, None)
        seen = int((request.last_entry_id or FIRST_ENTRY).partition("-")[0])
        deadline = time.monotonic() + request.timeout
        while len(call.outputs) <= seen and time.monotonic() < deadline:
            await call.news.wait(deadline - time.monotonic())
        if len(call.inputs) > 1:
            # Each answer has the client ask again, with a token for every input that is left.
            await asyncio.sleep(GATHER_SECONDS)
        outputs = call.outputs[seen:]
        return api_pb2.FunctionGetOutputsResponse(
            outputs=outputs,
            idxs=[output.idx for output in outputs],
            last_entry_id=f"{seen + len(outputs)}-0",
            num_unfinished_inputs=sum(not item.done for item in call.inputs.values()),
        )

    async def FunctionCallGetDataOut(self, stream: Stream) -> None:
        """Send what a generator yields as it comes; the client ends the stream."""
        request = await stream.recv_message()
        call = self._call(request.function_call_id)
        sent = request.last_index
        while True:
            for chunk in call.chunks[sent:]:
                await stream.send_message(chunk)
                sent += 1
            if sent == len(call.chunks):
                await call.news.wait(60.0)

    @unary
    async def FunctionCallCancel(self, request) -> Empty:
        call = self._call(request.function_call_id)
        over = Result(status=Result.GENERIC_STATUS_TERMINATED, exception="the call was cancelled")
        for item in call.inputs.values():
            call.fail(item, over)
        for container in self.host.of(call.function):
            if container.input is not None and container.input.call is call:
                if not request.terminate_containers:
                    raise GRPCError(Status.UNIMPLEMENTED, "only with terminate_containers")
                container.kill()
        await asyncio.sleep(0)
        return Empty()
