import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from asyncexec.testing.patience import scaled


# For every test here: what is started before a test is none of what it leaves behind.
@pytest.fixture(scope="session", autouse=True)
def postgresql():
    """A PostgreSQL server of the session's own, on loopback with a password; yields its address and how to ask it."""
    with tempfile.TemporaryDirectory(prefix="asyncexec-pg-", dir="/tmp") as folder:
        yield from _server(Path(folder))


def _server(folder: Path):
    found = find_spec("pgserver")
    assert found is not None
    assert found.origin is not None
    package = Path(found.origin).parent
    install = package / "pginstall"
    options: dict[str, object] = {}
    if os.geteuid() == 0:
        # PostgreSQL does not run as root, and others may not read where it is installed.
        for part in (
            "pgserver/pginstall",
            "pgserver.libs",
        ):  # Libraries are found beside the package.
            shutil.copytree(package.parent / part, folder / part)
        install = folder / "pgserver/pginstall"
        (folder / "data").mkdir()
        for each in (folder, folder / "data"):
            shutil.chown(each, "nobody")
        options = {"user": "nobody", "group": "nogroup", "extra_groups": []}
    (password := folder / "password").write_text(secrets.token_hex(16))
    password.chmod(0o644)
    data = folder / "data"
    with (folder / "log").open("w") as log:
        subprocess.run(
            [install / "bin/initdb", "-D", data, "-U", "runs", "-A", "scram-sha-256", "-N",
             f"--pwfile={password}"],
            check=True, stdout=log, stderr=log, cwd=folder, **options,
        )  # fmt: skip
        port = _free_port()
        server = subprocess.Popen(
            [install / "bin/postgres", "-D", data, "-p", str(port), "-F",
             "-c", "autovacuum=off", "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="],
            stdout=log, stderr=log, cwd=folder, **options,
        )  # fmt: skip
    try:
        _wait_for(port, server, folder / "log")
        yield f"postgresql://runs:{password.read_text()}@127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(scaled(30))


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def _wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + scaled(30)
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        else:
            return


@pytest.fixture(params=["sqlite", "postgresql"])
async def url(request: pytest.FixtureRequest, tmp_path: Path):
    """The URL of an empty database: of SQLite, and of PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/runs.db"
    import asyncpg

    server = request.getfixturevalue("postgresql")
    connection = await asyncpg.connect(f"{server}/postgres")
    name = f"runs_{secrets.token_hex(6)}"
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    return f"{server}/{name}"
