"""functions-framework as Google runs it, on loopback, with our worker as its function."""

import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from asyncexec.backends.http.signing import SECRET_VARIABLE
from asyncexec.testing.patience import scaled

REPOSITORY = Path(__file__).parents[3]
READY_SECONDS = 60.0
WORKER = "from asyncexec.backends.http.worker_side import handle\n"
SECRET = secrets.token_urlsafe(32)


@contextmanager
def function_server(directory, *, source=WORKER, **variables):
    """Run the server, and return its URL; ``variables`` are of its environment."""
    main = directory / "main.py"
    main.write_text(source)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "THREADS": "24"}
    environment |= {SECRET_VARIABLE: SECRET} | variables
    command = "import functions_framework._cli as c; c._cli()"
    arguments = ["--target", "handle", "--source", str(main), "--host", "127.0.0.1"]
    with (directory / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", command, *arguments, "--port", str(port)],
            cwd=directory,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_for(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(port: int, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + scaled(READY_SECONDS)
    while process.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=20).close()
        except urllib.error.HTTPError:
            return  # It answers, if only that the request is not signed.
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("functions-framework did not start")
