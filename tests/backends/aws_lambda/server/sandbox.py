"""One sandbox: a process that runs awslambdaric, and the Runtime API that it asks for work."""

import asyncio
import json
import os
import signal
import sys
import time
import uuid
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from aiohttp import web

REPOSITORY = Path(__file__).parents[4]
TAIL_BYTES = 4096
LOOK_SECONDS = 0.05


@dataclass(slots=True)
class Function:
    name: str
    handler: str = "asyncexec.backends.aws_lambda.worker_side.handler"
    runtime: str = f"python{sys.version_info.major}.{sys.version_info.minor}"
    memory: int = 1024  # MB
    timeout: float = 900.0
    concurrency: int = 1000
    state: str = "Active"
    environment: dict[str, str] = field(default_factory=dict)
    sandboxes: list["Sandbox"] = field(default_factory=list)
    figures: dict[str, int] = field(
        default_factory=lambda: {"invocations": 0, "throttles": 0, "sandboxes": 0, "busiest": 0}
    )


@dataclass(frozen=True, slots=True)
class Answer:
    payload: bytes
    error: str = ""  # "Handled" or "Unhandled"
    log: bytes = b""


class Sandbox:
    def __init__(self, function: Function) -> None:
        self.busy = False
        self.alive = True
        self._function = function
        self._stream = f"2026/01/01/[$LATEST]{uuid.uuid4().hex}"
        self._work = asyncio.Queue()
        self._answers = {}
        self._log = deque(maxlen=TAIL_BYTES)
        self._init_error = None
        self._process = None
        self._runner = None
        self._tasks = []

    async def start(self) -> None:
        app = web.Application(client_max_size=2**30)
        runtime = "/2018-06-01/runtime"
        app.router.add_get(f"{runtime}/invocation/next", self._next)
        app.router.add_post(f"{runtime}/invocation/{{id}}/response", self._response)
        app.router.add_post(f"{runtime}/invocation/{{id}}/error", self._error)
        app.router.add_post(f"{runtime}/init/error", self._failed_init)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        _, port = self._runner.addresses[0]
        function = self._function
        environment = os.environ | {
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}",
            "AWS_LAMBDA_FUNCTION_NAME": function.name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory),
            "AWS_LAMBDA_LOG_STREAM_NAME": self._stream,
            "PYTHONPATH": str(REPOSITORY),
            **function.environment,
        }
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "awslambdaric", function.handler),
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        self._tasks = [asyncio.create_task(self._read_log()), asyncio.create_task(self._watch())]

    async def invoke(self, event: bytes, request: str) -> Answer:
        answer = self._answers[request] = asyncio.get_running_loop().create_future()
        self._log.clear()
        self._work.put_nowait((request, event))
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._function.timeout):
                payload, error = await answer
        except TimeoutError:
            await self.end()
            told = f"Task timed out after {self._function.timeout:.2f} seconds"
            payload, error = _told("Sandbox.Timedout", f"RequestId: {request} Error: {told}")
        await asyncio.sleep(0)
        log = bytes(self._log) + self._report(request, time.monotonic() - began)
        return Answer(payload, error, log[-TAIL_BYTES:])

    async def end(self) -> None:
        self.alive = False
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
        await self._process.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._runner.cleanup()

    async def _next(self, _request):
        name, event = await self._work.get()
        deadline = time.time() + self._function.timeout
        return web.Response(
            body=event,
            content_type="application/json",
            headers={
                "Lambda-Runtime-Aws-Request-Id": name,
                "Lambda-Runtime-Deadline-Ms": str(int(deadline * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": f"arn:aws:lambda:::{self._function.name}",
                "Lambda-Runtime-Trace-Id": "Root=1-0-0;Parent=0;Sampled=0",
            },
        )

    async def _response(self, request):
        payload = await request.read()
        if len(payload) > 6 * 1024 * 1024 + 100:
            told = "Response payload size exceeded maximum allowed payload size (6291556 bytes)."
            self._settle(request, *_told("Function.ResponseSizeTooLarge", told))
        else:
            self._settle(request, payload, "")
        return web.json_response({"status": "OK"}, status=202)

    async def _error(self, request):
        self._settle(request, await request.read(), "Unhandled")
        return web.json_response({"status": "OK"}, status=202)

    async def _failed_init(self, request):
        self._init_error = await request.read()
        return web.json_response({"status": "OK"}, status=202)

    def _settle(self, request, payload, error) -> None:
        answer = self._answers.pop(request.match_info["id"], None)
        if answer is not None and not answer.done():
            answer.set_result((payload, error))

    async def _read_log(self) -> None:
        while chunk := await self._process.stdout.read(65536):
            self._log.extend(chunk)

    async def _watch(self) -> None:
        """Kill it over its memory; and tell who waits for it that it has died."""
        watched = psutil.Process(self._process.pid)
        limit, died = self._function.memory * 2**20, asyncio.ensure_future(self._process.wait())
        self._used = 0
        while not died.done():
            await asyncio.wait([died], timeout=LOOK_SECONDS)
            with suppress(psutil.Error):
                self._used = max(self._used, watched.memory_info().rss)
                if self._used > limit:
                    self._process.kill()
        self.alive = False
        code = died.result()
        how = f"signal: {_signal(-code)}" if code < 0 else f"exit status {code}"
        for name, answer in self._answers.items():
            if not answer.done():
                told = f"RequestId: {name} Error: Runtime exited with error: {how}"
                error = _told("Runtime.ExitError", told)
                answer.set_result((self._init_error, "Unhandled") if self._init_error else error)

    def _report(self, request: str, seconds: float) -> bytes:
        size, used = self._function.memory, min(self._used // 2**20, self._function.memory)
        return (
            f"END RequestId: {request}\nREPORT RequestId: {request}\tDuration: {seconds * 1000:.2f} ms\t"
            f"Billed Duration: {int(seconds * 1000) + 1} ms\tMemory Size: {size} MB\tMax Memory Used: {used} MB\t\n"
        ).encode()


def _told(kind: str, message: str) -> tuple[bytes, str]:
    return json.dumps({"errorType": kind, "errorMessage": message}).encode(), "Unhandled"


def _signal(number: int) -> str:
    return {signal.SIGKILL: "killed", signal.SIGTERM: "terminated"}.get(number, str(number))
