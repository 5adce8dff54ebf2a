"""``python -m tests.backends.aws_lambda.server``: says its port on stdout, and ends when its stdin does."""

import asyncio
import sys

from aiohttp import web

from tests.backends.aws_lambda.server.invoke_api import InvokeApi


async def main() -> None:
    runner = web.AppRunner(InvokeApi().application(), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
