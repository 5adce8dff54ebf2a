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
from importlib import import_module
from pathlib import Path
from typing import Any

from asyncexec.backends.environment import kept_variables
from asyncexec.backends.ray.options import RayOptions
from asyncexec.backends.ray.token_file import keep_token_private
from asyncexec.errors import BackendError
from asyncexec.storage.places.locked_directory import LockedDirectory, remove_abandoned

_CHANGED_BY_RAY = (
    *("RAY_USAGE_STATS_ENABLED", "RAY_AUTH_MODE", "RAY_CLIENT_MODE"),
    "PYTHONBREAKPOINT",
)
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


def connect_ray(options: RayOptions) -> Connection:
    """Connect this process, which has no connection yet, to Ray; blocks for seconds.

    Raises BackendError if Ray does not start, or cannot be reached.
    """
    with kept_variables(_CHANGED_BY_RAY), _quiet_start(), _on_loopback(options):
        import ray

        if options.address is None:
            keep_token_private()

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


def import_ray() -> None:
    """Import Ray for the first time, without its changes to this process's environment."""
    with kept_variables(_CHANGED_BY_RAY):
        import_module("ray")


@contextlib.contextmanager
def _quiet_start() -> Generator[None]:
    """Keep Ray's processes from sending usage statistics, and Ray from logging what is intended."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # Ray logs that it does not handle SIGTERM outside the main thread, and that it uses tokens; both are intended.
    log = logging.getLogger("ray")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


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
