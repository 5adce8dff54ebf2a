"""Modal's control plane on loopback, as far as the tests need it.

`python -m tests.backends.modal.server` prints where it listens, and runs until its standard input ends. Clients speak
gRPC to `control` and `calls`; each container is a process forked by `zygote` that runs Modal's own, unmodified entry
point and speaks to its own `worker_side`; `host` starts and ends them. Large data goes through `blobs` and `http`,
where tests also look at the server's state and plan `faults`. It builds no images and schedules no hardware.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path

from tests.backends.modal.server.control import ControlPlane
from tests.backends.modal.server.faults import Faults
from tests.backends.modal.server.grpc import serve
from tests.backends.modal.server.host import Host
from tests.backends.modal.server.http import Web
from tests.backends.modal.server.zygote import start_zygote


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--token-id", required=True)
    parser.add_argument("--token-secret", required=True)
    options = parser.parse_args()
    # Before any thread or event loop is there: it forks.
    zygote = start_zygote()
    with tempfile.TemporaryDirectory(prefix="modal-server-") as directory:
        asyncio.run(run(options, zygote, Path(directory)))


async def run(options: argparse.Namespace, zygote, directory: Path) -> None:
    faults = Faults((options.token_id, options.token_secret))
    web = Web(faults)
    await web.start()
    host = Host(zygote, directory, web)
    plane = ControlPlane(host, web)
    web.describe = plane.describe
    server, port = await serve(plane, check=faults.check)
    print(json.dumps({"url": f"http://127.0.0.1:{port}", "control": web.url}), flush=True)
    try:
        async with asyncio.TaskGroup() as tasks:
            watch = tasks.create_task(host.watch())
            await asyncio.to_thread(sys.stdin.read)
            watch.cancel()
    finally:
        plane.stop_all()
        await host.close()
        server.close()
        await web.close()


if __name__ == "__main__":
    main()
