"""Starting a Ray on this machine, and connecting to one: what is asked of it, and what it is kept from doing."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from asyncexec.backends.cores import usable_cores
from asyncexec.backends.ray.options import RayOptions
from asyncexec.errors import BackendError

REACH_SECONDS = 10.0
OBJECT_STORE_BYTES = 512 * 2**20
LOOPBACK = "127.0.0.1"
# A socket's path may have 107 bytes, and Ray adds 70 to that of its directory.
_LONGEST_DIRECTORY = 36


class Connection:
    """A connection to Ray that was made here.

    Attributes
    ----------
    users : int
        How many backends use it.
    directory : Path or None
        Of the Ray that was started for it.
    job : str
        By which it is told from another that somebody has made since.
    keeper : Keeper
    """

    def __init__(self, directory: Path | None, job: str, keeper: Keeper) -> None:
        self.users = 0
        self.directory = directory
        self.job = job
        self.keeper = keeper


class Keeper:
    """A thread that starts Ray, and lives as long as it.

    Ray asks Linux to kill its processes when the driver dies; to Linux, that is the thread that has started them.
    """

    def __init__(self) -> None:
        self._let_go = threading.Event()
        self._thread: threading.Thread | None = None

    def run(self, function: Callable[[], object]) -> None:
        """Have ``function`` called, wait for it, and raise what it raises."""
        called: Future[object] = Future()

        def keep() -> None:
            try:
                called.set_result(function())
            except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits
                called.set_exception(error)
            self._let_go.wait()

        self._thread = threading.Thread(target=keep, name="asyncexec-ray-keeper", daemon=True)
        self._thread.start()
        called.result()

    def end(self) -> None:
        """End the thread, once Ray has ended."""
        self._let_go.set()
        if self._thread is not None:
            self._thread.join()


async def check_reachable(address: str | None) -> None:
    """Raise at once where nothing listens: Ray would try for half a minute, and cannot be interrupted.

    Raises
    ------
    BackendError
        If ``host:port`` cannot be connected to.
    """
    host, _, port = (address or "").rpartition(":")
    if not port.isdigit():
        return  # Ray finds it itself.
    try:
        with anyio.fail_after(REACH_SECONDS):
            stream = await anyio.connect_tcp(host.strip("[]"), int(port))
        await stream.aclose()
    except (OSError, TimeoutError) as error:
        raise BackendError(
            f"executor 'ray': nothing can be reached at cluster_address={address!r}: {str(error) or 'no answer'}. "
            f"It is the address of the head node, as `ray start --head` prints it, by default with port 6379"
        ) from error


def connect(options: RayOptions) -> Connection:
    """Connect this process, which has no connection, to Ray as the options say; blocks for seconds.

    Raises
    ------
    BackendError
        If Ray does not start, or cannot be reached.
    """
    with _clean_environment(), _on_loopback(options):
        import ray

        arguments: dict[str, Any] = {
            "log_to_driver": options.log_to_driver,
            "configure_logging": False,
            "runtime_env": options.runtime_env or None,
        }
        directory: Path | None = None
        if options.address is None:
            directory = Path(tempfile.mkdtemp(prefix="ax-ray-"))
            arguments |= _local_options(options, directory)
        else:
            arguments["address"] = options.address
        keeper = Keeper()
        try:
            keeper.run(partial(ray.init, **arguments))
        except Exception as error:
            where = "start" if options.address is None else f"connect to {options.address!r}"
            with contextlib.suppress(Exception):
                ray.shutdown()
            keeper.end()
            remove(directory)
            raise BackendError(f"executor 'ray': Ray did not {where}: {error}") from error
        return Connection(directory, job(), keeper)


def _local_options(options: RayOptions, directory: Path) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "address": "local",  # Whatever RAY_ADDRESS says.
        "num_cpus": usable_cores() if options.cpus is None else options.cpus,
        "num_gpus": options.gpus,
        "resources": dict(options.resources or {}) or None,
        "object_store_memory": options.object_store_bytes or OBJECT_STORE_BYTES,
        "include_dashboard": False,
        "_node_ip_address": LOOPBACK,
    }
    if len(str(directory)) <= _LONGEST_DIRECTORY:
        arguments["_temp_dir"] = str(directory)
    return arguments


def job() -> str:
    """Return what tells the connection of this process from any other."""
    import ray

    context = ray.get_runtime_context()
    return f"{context.gcs_address} {context.get_job_id()}"


def remove(directory: Path | None) -> None:
    """Remove the directory of a Ray that has ended."""
    if directory is not None:
        shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def _clean_environment() -> Generator[None]:
    """Have Ray's processes send no statistics, and undo what Ray does to the environment of this one."""
    names = ("RAY_USAGE_STATS_ENABLED", "RAY_AUTH_MODE", "RAY_CLIENT_MODE", "PYTHONBREAKPOINT")
    before = {name: os.environ.get(name) for name in names}
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # It remarks that it does not handle SIGTERM outside the main thread, and that it uses tokens: both as wanted.
    log = logging.getLogger("ray")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _on_loopback(options: RayOptions) -> Generator[None]:
    """Have a Ray that is started here listen on loopback only.

    Asked for 127.0.0.1, Ray takes the machine's address in the network instead, and listens everywhere, except where
    it knows no clusters: so that is what it is told while it starts. Its token guards it in any case.
    """
    from ray._private import ray_constants as constants

    known: bool | None = getattr(constants, "ENABLE_RAY_CLUSTER", None)
    if options.address is not None or known is None:
        yield
        return
    constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        constants.ENABLE_RAY_CLUSTER = known
