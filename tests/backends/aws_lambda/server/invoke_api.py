"""Lambda's API as a driver sees it: Invoke and GetFunctionConfiguration; and a door for tests to set functions up."""

import asyncio
import base64
import dataclasses
import uuid

from aiohttp import web

from tests.backends.aws_lambda.server.sandbox import Function, Sandbox

MESSAGE_BYTES = 6 * 1024 * 1024
API = "/2015-03-31/functions/{name}"


class InvokeApi:
    def __init__(self) -> None:
        self.functions: dict[str, Function] = {}
        self._ending = set()

    def application(self) -> web.Application:
        app = web.Application(client_max_size=2**30)
        app.router.add_post(f"{API}/invocations", self._invoke)
        app.router.add_get(f"{API}/configuration", self._configuration)
        app.router.add_put("/set-up/{name}", self._set_up)
        app.router.add_get("/figures/{name}", self._figures)
        app.on_shutdown.append(self._end)
        return app

    async def _invoke(self, request):
        function, refusal = self._found(request)
        if refusal is not None:
            return refusal
        event = await request.read()
        if len(event) > MESSAGE_BYTES:
            told = f"Request must be smaller than {MESSAGE_BYTES} bytes for the InvokeFunction operation"
            return _refusal(413, "RequestTooLargeException", told)
        function.figures["invocations"] += 1
        sandbox = self._free(function)
        if sandbox is None:
            function.figures["throttles"] += 1
            return _refusal(429, "TooManyRequestsException", "Rate Exceeded.")
        name = str(uuid.uuid4())
        try:
            if not sandbox.started:
                await sandbox.box.start()
                sandbox.started = True
            answer = await sandbox.box.invoke(event, name)
        finally:
            sandbox.busy = False
            if not sandbox.box.alive:
                function.sandboxes.remove(sandbox)
                task = asyncio.create_task(sandbox.box.end())
                self._ending.add(task)
                task.add_done_callback(self._ending.discard)
        headers = {"X-Amz-Executed-Version": "$LATEST", "x-amzn-RequestId": name}
        if answer.error:
            headers["X-Amz-Function-Error"] = answer.error
        if request.headers.get("X-Amz-Log-Type") == "Tail":
            headers["X-Amz-Log-Result"] = base64.b64encode(answer.log).decode()
        return web.Response(body=answer.payload, headers=headers)

    async def _configuration(self, request):
        function, refusal = self._found(request)
        if refusal is not None:
            return refusal
        told = {
            "FunctionName": function.name,
            "Runtime": function.runtime,
            "Handler": function.handler,
            "MemorySize": function.memory,
            "Timeout": int(function.timeout),
            "State": function.state,
        }
        return web.json_response(told)

    async def _set_up(self, request):
        name = request.match_info["name"]
        if name in self.functions:
            for place in self.functions[name].sandboxes:
                await place.box.end()
        self.functions[name] = Function(name, **await request.json())
        return web.json_response({})

    async def _figures(self, request):
        return web.json_response(self.functions[request.match_info["name"]].figures)

    def _found(self, request):
        if "Credential=AKIATEST/" not in request.headers.get("Authorization", ""):
            told = "The security token included in the request is invalid."
            return None, _refusal(403, "UnrecognizedClientException", told)
        name = request.match_info["name"]
        function = self.functions.get(name)
        if function is None:
            told = f"Function not found: arn:aws:lambda:eu-central-1:123456789012:function:{name}"
            return None, _refusal(404, "ResourceNotFoundException", told)
        return function, None

    def _free(self, function):
        for place in function.sandboxes:
            if not place.busy and place.box.alive:
                place.busy = True
                return place
        if len(function.sandboxes) >= function.concurrency:
            return None
        function.figures["sandboxes"] += 1
        place = _Place(Sandbox(function))
        function.sandboxes.append(place)
        return place

    async def _end(self, _app):
        for function in self.functions.values():
            for place in function.sandboxes:
                if place.started:
                    await place.box.end()


@dataclasses.dataclass(slots=True, eq=False)
class _Place:
    box: Sandbox
    busy: bool = True
    started: bool = False


def _refusal(status, code, message):
    return web.json_response(
        {"Type": "User", "message": message}, status=status, headers={"x-amzn-ErrorType": code}
    )
