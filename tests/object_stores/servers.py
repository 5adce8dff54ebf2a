"""Servers of objects on loopback, each in a process of its own that ends with this one: moto, ministack, Azurite."""

import base64
import contextlib
import email.utils
import hmac
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import urllib.request

from tests.backends.aws_lambda.server.object_store import object_store

# The port is the system's choice, so that runs side by side do not meet; it ends when its standard input does.
MOTO = """
import sys, threading
from werkzeug.serving import WSGIRequestHandler, make_server
from moto.server import DomainDispatcherApplication, create_backend_app

WSGIRequestHandler.protocol_version = "HTTP/1.1"
WSGIRequestHandler.log_request = lambda *args: None
app = DomainDispatcherApplication(create_backend_app)
server = make_server("127.0.0.1", 0, app, threaded=True)
print("listens on", server.port, flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
"""
KEYS = {"access_key_id": "AKIATEST", "secret_access_key": "not-a-secret", "region": "us-east-1"}
AZURITE = "AZURITE_BLOB"
"""The variable that names the command of Azurite's blob service, where it is not on the path."""


@contextlib.contextmanager
def moto():
    """Run moto's S3 and yield its URL."""
    with _listening([sys.executable, "-c", MOTO], r"listens on (\d+)") as port:
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def ministack(directory: pathlib.Path):
    """Run ministack and yield its URL."""
    with object_store(directory) as url:
        yield url


@contextlib.contextmanager
def azurite(directory: pathlib.Path):
    """Run Azurite's blob service and yield the URL of its account."""
    command = [
        azurite_command(),
        *("--blobHost", "127.0.0.1", "--blobPort", "0", "--inMemoryPersistence"),
        *("--silent", "--skipApiVersionCheck", "--disableTelemetry"),
    ]
    with _listening(command, r"listen\S* (?:at|on) http://127\.0\.0\.1:(\d+)", directory) as port:
        yield f"http://127.0.0.1:{port}/devstoreaccount1"


def azurite_command() -> str | None:
    return os.environ.get(AZURITE) or shutil.which("azurite-blob")


@contextlib.contextmanager
def _listening(command: list[str], said: str, directory: pathlib.Path | None = None):
    """Run a server that says its port, and yield what it says."""
    with subprocess.Popen(
        command,
        cwd=directory,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield _port(process, said)
        finally:
            process.stdin.close()
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _port(process: subprocess.Popen, said: str) -> int:
    lines = []
    for line in process.stdout:
        if found := re.search(said, line):
            # What else it says is read, so that it never waits for that.
            threading.Thread(target=process.stdout.read, daemon=True, name="server output").start()
            return int(found[1])
        lines.append(line)
    raise RuntimeError(f"{process.args[0]} did not start: {''.join(lines)}")


def s3_options(url: str, **more) -> dict:
    """Return the storage options of a bucket on a server."""
    return {"endpoint": url, **KEYS, "client_options": {"allow_http": True}, **more}


def make_bucket(url: str, name: str) -> None:
    """Make a bucket, by a request that these servers take without a signature."""
    _put(f"{url}/{name}", {})


AZURE_ACCOUNT = "devstoreaccount1"
# The key that Azurite documents for everybody.
AZURE_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)


def azure_options(url: str, **more) -> dict:
    """Return the storage options of a container on Azurite."""
    keys = {"account_name": AZURE_ACCOUNT, "account_key": AZURE_KEY}
    return {"endpoint": url, **keys, "client_options": {"allow_http": True}, **more}


def make_container(url: str, name: str) -> None:
    """Make a container, by a request that is signed with the account's key."""
    stated = {"x-ms-date": email.utils.formatdate(usegmt=True), "x-ms-version": "2021-08-06"}
    resource = f"/{AZURE_ACCOUNT}/{AZURE_ACCOUNT}/{name}\nrestype:container"
    text = "\n".join(["PUT", *[""] * 11, *map(":".join, stated.items()), resource])
    digest = hmac.new(base64.b64decode(AZURE_KEY), text.encode(), "sha256").digest()
    signature = f"SharedKey {AZURE_ACCOUNT}:{base64.b64encode(digest).decode()}"
    _put(f"{url}/{name}?restype=container", stated | {"Authorization": signature})


def _put(url: str, headers: dict) -> None:
    request = urllib.request.Request(url, method="PUT", headers=headers | {"Content-Length": "0"})
    with urllib.request.urlopen(request, timeout=30):
        pass
