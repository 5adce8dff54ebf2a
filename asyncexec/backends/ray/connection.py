"""Start Ray on this machine, or connect to a running one."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from asyncexec.backends.locked_directory import LockedDirectory, remove_abandoned
from asyncexec.backends.ray.options import RayOptions
from asyncexec.errors import BackendError

REACH_SECONDS = 10.0
OBJECT_STORE_BYTES = 512 * 2**20
LOOPBACK = "127.0.0.1"
# The path of a socket may have 107 bytes, and Ray adds 70 to the directory.
_LONGEST_DIRECTORY = 36


@dataclass(slots=True, eq=False)
class Connection:
    """A connection to Ray that was made here, shared by the backends of this process."""

    directory: LockedDirectory | None
    """The directory of the Ray that was started for it."""
    job_identity: str
    """The identity by which it differs from a connection that somebody else has made since."""
    keep_alive: KeepAliveThread
    users: int = 0
    """The number of backends that use it."""


class KeepAliveThread:
    """The thread that starts Ray, and stays alive as long as Ray does.

    Ray has Linux kill its processes when their parent dies; to Linux, the parent is the thread that started them, and
    not the process.
    """

    def __init__(self) -> None:
        self._released = threading.Event()
        self._thread: threading.Thread | None = None

    def run(self, function: Callable[[], object]) -> None:
        """Call ``function`` in the thread, wait for it, and raise what it raises."""
        called: Future[object] = Future()

        def keep() -> None:
            try:
                called.set_result(function())
            except BaseException as error:  # noqa: BLE001 - the waiting thread raises it
                called.set_exception(error)
            self._released.wait()

        self._thread = threading.Thread(target=keep, name="asyncexec-ray-keeper", daemon=True)
        self._thread.start()
        called.result()

    def end(self) -> None:
        """End the thread, once Ray has ended."""
        self._released.set()
        if self._thread is not None:
            self._thread.join()


async def check_reachable(address: str | None) -> None:
    """Raise at once if nothing listens at the address: Ray would try for half a minute, and cannot be interrupted.

    Raises BackendError if ``host:port`` cannot be connected to.
    """
    host, _, port = (address or "").rpartition(":")
    if not port.isdigit():
        return  # Ray resolves it itself.
    try:
        with anyio.fail_after(REACH_SECONDS):
            stream = await anyio.connect_tcp(host.strip("[]"), int(port))
        await stream.aclose()
    except (OSError, TimeoutError) as error:
        raise BackendError(
            f"executor 'ray': nothing can be reached at cluster_address={address!r}: {str(error) or 'no answer'}. "
            f"It is the address of the head node, as `ray start --head` prints it, by default with port 6379"
        ) from error


def connect_ray(options: RayOptions) -> Connection:
    """Connect this process, which has no connection yet, to Ray; blocks for seconds.

    Raises BackendError if Ray does not start, or cannot be reached.
    """
    with _clean_environment(), _on_loopback(options):
        import ray

        arguments: dict[str, Any] = {
            "log_to_driver": options.log_to_driver,
            "configure_logging": False,
            "runtime_env": options.runtime_env or None,
        }
        directory: LockedDirectory | None = None
        if options.address is None:
            directory = LockedDirectory.make()
            remove_abandoned(directory.path.parent)
            arguments |= _local_options(options, directory.path)
        else:
            arguments["address"] = options.address
        keep_alive = KeepAliveThread()
        try:
            keep_alive.run(partial(ray.init, **arguments))
        except Exception as error:
            where = "start" if options.address is None else f"connect to {options.address!r}"
            with contextlib.suppress(Exception):
                ray.shutdown()
            keep_alive.end()
            if directory is not None:
                directory.remove()
            raise BackendError(f"executor 'ray': Ray did not {where}: {error}") from error
        return Connection(directory, job_identity(), keep_alive)


def _local_options(options: RayOptions, directory: Path) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "address": "local",  # This overrides RAY_ADDRESS.
        "num_cpus": options.own_cpus,
        "num_gpus": options.gpus,
        "resources": dict(options.resources or {}) or None,
        "object_store_memory": options.object_store_bytes or OBJECT_STORE_BYTES,
        "include_dashboard": options.dashboard_port is not None,
        "_node_ip_address": LOOPBACK,
    }
    if options.dashboard_port is not None:
        arguments |= {"dashboard_host": LOOPBACK, "dashboard_port": options.dashboard_port}
    if options.memory_bytes is not None:
        arguments["_memory"] = options.memory_bytes
    if len(str(directory)) <= _LONGEST_DIRECTORY:
        arguments["_temp_dir"] = str(directory)
    return arguments


def job_identity() -> str:
    """Return the identity of this process's connection."""
    import ray

    context = ray.get_runtime_context()
    return f"{context.gcs_address} {context.get_job_id()}"


@contextlib.contextmanager
def _clean_environment() -> Generator[None]:
    """Keep Ray's processes from sending usage statistics, and undo Ray's changes to this environment."""
    names = ("RAY_USAGE_STATS_ENABLED", "RAY_AUTH_MODE", "RAY_CLIENT_MODE", "PYTHONBREAKPOINT")
    before = {name: os.environ.get(name) for name in names}
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # Ray logs that it does not handle SIGTERM outside the main thread, and that it uses tokens; both are intended.
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
    """Make a Ray that is started here listen on loopback only.

    Asked for 127.0.0.1, Ray takes the machine's network address instead, and listens on all interfaces, unless it is
    built without support for clusters: so it is made to believe that while it starts. Its token guards it in any case.
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
