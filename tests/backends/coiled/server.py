"""As much of Coiled's service as its client asks for before it makes a cluster on this machine."""

from contextlib import asynccontextmanager

from aiohttp import web

TOKEN = "here-only"  # Not a secret: it opens nothing.


@asynccontextmanager
async def coiled_server():
    """Yield the server's address, and the paths that it was asked for."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        if TOKEN not in request.headers.get("Authorization", ""):
            return web.json_response({"detail": "who are you?"}, status=401)
        if request.path == "/api/v2/user/me":
            return web.json_response({"username": "somebody"})
        if request.path == "/api/v2/user/me/memberships":
            return web.json_response([])
        if request.path == "/api/v2/interactions/interaction":
            return web.json_response({})
        return web.json_response({"detail": "not here"}, status=404)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}", asked
    finally:
        await runner.cleanup()
