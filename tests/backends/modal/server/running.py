"""Starting the server for a test, and asking it how things are."""

import asyncio
import json
import os
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TOKEN_ID, TOKEN_SECRET = "ak-loopback", "as-not-a-secret-of-anybody"
ROOT = Path(__file__).parents[4]
WAITERS = 4


class Running:
    """A server that listens on loopback."""

    def __init__(self, url: str, control: str) -> None:
        self.url = url
        self._control = control

    @property
    def environment(self) -> dict[str, str]:
        """What makes Modal's client come here."""
        return {
            "MODAL_SERVER_URL": self.url,
            "MODAL_TOKEN_ID": TOKEN_ID,
            "MODAL_TOKEN_SECRET": TOKEN_SECRET,
            "MODAL_CONFIG_PATH": os.devnull,
        }

    def state(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self._control}/state", timeout=10) as answer:
            return json.load(answer)

    def containers(self) -> list[dict[str, Any]]:
        return self.state()["containers"]

    def fail(self, rpc: str, status: str, times: int = 1) -> None:
        """Have the next calls of an RPC fail."""
        said = json.dumps({"rpc": rpc, "status": status, "times": times}).encode()
        urllib.request.urlopen(f"{self._control}/fault", data=said, timeout=10).close()


@contextmanager
def running(*options: str) -> Iterator[Running]:
    command = [sys.executable, "-m", "tests.backends.modal.server"]
    process = subprocess.Popen(
        [*command, "--token-id", TOKEN_ID, "--token-secret", TOKEN_SECRET, *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, f"the server ended with {process.wait()}"
        yield Running(**json.loads(line))
    finally:
        process.stdin.close()
        process.wait(20)
        process.stdout.close()


def start_modals_threads() -> None:
    """Start those that its package has for good, so that no test seems to leave them behind."""
    from modal._utils.async_utils import synchronizer

    async def start() -> None:
        pool = ThreadPoolExecutor(WAITERS)
        asyncio.get_running_loop().set_default_executor(pool)
        together = threading.Barrier(WAITERS)
        await asyncio.gather(*[asyncio.to_thread(together.wait) for _ in range(WAITERS)])

    synchronizer.create_blocking(start)()
