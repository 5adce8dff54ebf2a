"""Starts the server, and sets functions up on it."""

import json
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).parents[4]


class Server:
    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def set_up(self, name: str, **settings) -> str:
        self._ask(f"/set-up/{name}", "PUT", json.dumps(settings).encode())
        return name

    def figures(self, name: str) -> dict[str, int]:
        return self._ask(f"/figures/{name}", "GET")

    def _ask(self, path, method, body=None):
        request = urllib.request.Request(self.url + path, body, method=method)
        with urllib.request.urlopen(request, timeout=20) as response:
            return json.load(response)


@contextmanager
def lambda_server():
    """Run the server, and end it with all its sandboxes."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.backends.aws_lambda.server"],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Server(int(process.stdout.readline()))
        finally:
            process.stdin.close()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
