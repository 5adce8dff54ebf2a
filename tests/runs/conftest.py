import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from asyncexec.testing.patience import scaled


@pytest.fixture(scope="session")
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
        settings = f"-p {port} -F -c autovacuum=off -c listen_addresses=127.0.0.1"
        # By pg_ctl, which waits until it is ready: its processes are then no children of ours, and no leak of a test.
        control = [install / "bin/pg_ctl", "-D", data, "-w", "-t", str(int(scaled(60)))]
        begin = [
            "-l",
            folder / "server.log",
            "-o",
            f"{settings} -c unix_socket_directories=",
            "start",
        ]
        subprocess.run(
            [*control, *begin], check=True, stdout=log, stderr=log, cwd=folder, **options
        )
        try:
            yield f"postgresql://runs:{password.read_text()}@127.0.0.1:{port}"
        finally:
            stop = [*control, "-m", "immediate", "stop"]
            subprocess.run(stop, check=True, stdout=log, stderr=log, cwd=folder, **options)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


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
