"""One container, seen from the control plane."""

import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING

from grpclib.server import Server
from modal_proto import api_pb2

from tests.backends.modal.server.state import Function, Input, Result, new_id

if TYPE_CHECKING:
    from tests.backends.modal.server.host import Host

MOST_FAILED_STARTS = 3


class Container:
    """A process that runs Modal's entry point, one input at a time."""

    def __init__(self, host: "Host", function: Function) -> None:
        self.id = new_id("ta")
        self.host = host
        self.function = function
        self.server: Server | None = None
        self.input: Input | None = None
        self.leaving = False
        self.pid = 0
        self._fetched = False

    def arguments(self) -> api_pb2.ContainerArguments:
        return api_pb2.ContainerArguments(
            task_id=self.id,
            function_id=self.function.id,
            app_id=self.function.app.id,
            function_def=self.function.definition,
            app_layout=api_pb2.AppLayout(
                objects=[
                    api_pb2.Object(
                        object_id=self.function.id, function_handle_metadata=self.function.metadata
                    )
                ],
                function_ids={self.function.name: self.function.id},
            ),
        )

    def secrets(self) -> dict[str, str]:
        ids = self.function.definition.secret_ids
        return {k: v for one in ids for k, v in self.host.secrets[one].items()}

    def began(self, pid: int) -> None:
        self.pid = pid
        if self.leaving:
            self.kill()

    def kill(self) -> None:
        self.leaving = True
        if self.pid:
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                # It has not got as far as a group of its own, or is gone already.
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.pid, signal.SIGKILL)

    async def take(self) -> Input | None:
        """Wait for an input to run; None if there is none for long."""
        self._fetched = True
        self.input = None
        self.function.failed_starts = 0
        deadline = time.monotonic() + self.function.idle_seconds
        while not self.leaving:
            while self.function.waiting:
                item = self.function.waiting.popleft()
                if not item.done:
                    self.input = item
                    return item
            left = deadline - time.monotonic()
            if left <= 0:
                self.leaving = True
            else:
                await self.function.news.wait(left)
        return None

    def put(self, output: api_pb2.FunctionPutOutputsItem) -> None:
        item = self.input
        if item is None or item.id != output.input_id:
            return
        self.input = None
        item.call.end(
            item,
            api_pb2.FunctionGetOutputsItem(
                result=output.result,
                data_format=output.data_format,
                task_id=self.id,
                input_started_at=output.input_started_at,
                output_created_at=output.output_created_at,
            ),
        )

    def ended(self, code: int) -> None:
        """Settle what it was running, or why it never ran anything."""
        function = self.function
        if self.input is not None:
            why = f"container {self.id} ended with exit code {code} while it ran the input"
            result = Result(status=Result.GENERIC_STATUS_INTERNAL_FAILURE, exception=why)
            self.input.call.fail(self.input, result, self.id)
            self.input = None
        elif not self._fetched and not self.leaving:
            function.failed_starts += 1
            if function.failed_starts >= MOST_FAILED_STARTS:
                why = f"container {self.id} ended with exit code {code} before it was ready"
                self.refuse_all(
                    Result(status=Result.GENERIC_STATUS_INTERNAL_FAILURE, exception=why)
                )

    def refuse_all(self, result: api_pb2.GenericResult) -> None:
        while self.function.waiting:
            item = self.function.waiting.popleft()
            item.call.fail(item, result, self.id)
