"""Blobs over HTTP, as at an object store; and for the tests, a look at the server's state."""

import base64
import hashlib
import itertools
from collections.abc import Callable

from aiohttp import web

from tests.backends.modal.server.faults import Faults


class Web:
    """What is put is kept until the server ends."""

    def __init__(self, faults: Faults) -> None:
        self.url = ""
        self.blobs: dict[str, bytes] = {}
        self.describe: Callable[[], dict] = dict
        self._faults = faults
        self._numbers = itertools.count(1)
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application(client_max_size=1 << 30)
        app.add_routes(
            [
                web.put("/blob/{id}", self._put),
                web.get("/blob/{id}", self._get),
                web.get("/state", self._state),
                web.post("/fault", self._fault),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def new_blob(self) -> str:
        return f"bl-{next(self._numbers)}"

    def blob_url(self, blob: str) -> str:
        return f"{self.url}/blob/{blob}"

    async def _put(self, request: web.Request) -> web.Response:
        data = await request.read()
        digest = hashlib.md5(data)
        wanted = request.headers.get("Content-MD5")
        if wanted is not None and base64.b64decode(wanted) != digest.digest():
            return web.Response(status=400, text="The Content-MD5 you specified did not match")
        self.blobs[request.match_info["id"]] = data
        return web.Response(headers={"ETag": f'"{digest.hexdigest()}"'})

    async def _get(self, request: web.Request) -> web.Response:
        data = self.blobs.get(request.match_info["id"])
        return web.Response(status=404) if data is None else web.Response(body=data)

    async def _state(self, request: web.Request) -> web.Response:
        calls = dict(self._faults.calls)
        return web.json_response({**self.describe(), "rpcs": calls, "blobs": len(self.blobs)})

    async def _fault(self, request: web.Request) -> web.Response:
        asked = await request.json()
        self._faults.plan(asked["rpc"], asked["status"], asked["times"])
        return web.Response()
