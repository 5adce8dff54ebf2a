"""What the control plane remembers: apps, functions, calls and their inputs."""

import asyncio
import itertools
import time
from collections import deque
from dataclasses import dataclass, field

from modal._utils.jwt_utils import DecodedJwt
from modal_proto import api_pb2

_numbers = itertools.count(1)
Result = api_pb2.GenericResult
FIRST_ENTRY = "0-0"


def new_id(prefix: str) -> str:
    return f"{prefix}-{next(_numbers):06d}"


class News:
    """Wakes everybody who waits when something has changed."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def tell(self) -> None:
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self, seconds: float) -> None:
        event = self._event
        try:
            async with asyncio.timeout(max(seconds, 0.0)):
                await event.wait()
        except TimeoutError:
            pass


@dataclass(eq=False)
class Input:
    id: str
    index: int
    call: "Call"
    data: api_pb2.FunctionInput
    retry_count: int = 0
    done: bool = False

    @property
    def jwt(self) -> str:
        return DecodedJwt.encode_without_signature(
            {"idx": self.index, "input_id": self.id, "call": self.call.id}
        )

    def item(self) -> api_pb2.FunctionPutInputsResponseItem:
        return api_pb2.FunctionPutInputsResponseItem(
            idx=self.index, input_id=self.id, input_jwt=self.jwt
        )


@dataclass(eq=False)
class Call:
    id: str
    function: "Function"
    invocation: int
    inputs: dict[str, Input] = field(default_factory=dict)
    outputs: list[api_pb2.FunctionGetOutputsItem] = field(default_factory=list)
    chunks: list[api_pb2.DataChunk] = field(default_factory=list)
    news: News = field(default_factory=News)

    def end(self, item: Input, output: api_pb2.FunctionGetOutputsItem) -> None:
        if not item.done:
            item.done = True
            output.idx, output.input_id, output.retry_count = item.index, item.id, item.retry_count
            self.outputs.append(output)
            self.news.tell()

    def fail(self, item: Input, result: api_pb2.GenericResult, task_id: str = "") -> None:
        self.end(
            item,
            api_pb2.FunctionGetOutputsItem(
                result=result, task_id=task_id, output_created_at=time.time()
            ),
        )


@dataclass(eq=False)
class Function:
    id: str
    app: "App"
    name: str
    definition: api_pb2.Function = field(default_factory=api_pb2.Function)
    waiting: deque[Input] = field(default_factory=deque)
    news: News = field(default_factory=News)
    failed_starts: int = 0

    @property
    def metadata(self) -> api_pb2.FunctionHandleMetadata:
        return api_pb2.FunctionHandleMetadata(
            function_name=self.name,
            function_type=self.definition.function_type,
            app_id=self.app.id,
            supported_input_formats=self.definition.supported_input_formats,
            supported_output_formats=self.definition.supported_output_formats,
        )

    @property
    def most_containers(self) -> int:
        return self.definition.autoscaler_settings.max_containers or 100

    @property
    def idle_seconds(self) -> float:
        return self.definition.autoscaler_settings.scaledown_window or 60.0


@dataclass(eq=False)
class App:
    id: str
    description: str
    functions: dict[str, Function] = field(default_factory=dict)
    stopped: bool = False
