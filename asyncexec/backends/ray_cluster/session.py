"""Ray in this process: started here, connected to, or lent by whoever started it before.

A process has at most one connection to Ray. One that was made here is shared by all backends of the process, and ends
with the last of them; one that was there before is used and left alone.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
import threading
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from asyncexec.backends.cores import usable_cores
from asyncexec.backends.ray_cluster.demands import Nodes
from asyncexec.errors import BackendError, OptionError, ResourceError

REACH_SECONDS = 10.0
OBJECT_STORE_BYTES = 512 * 2**20
LOOPBACK = "127.0.0.1"
# A socket's path may have 107 bytes, and Ray adds 70 to that of its directory.
_LONGEST_DIRECTORY = 36


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a user wants of Ray, of the options that concern the session.

    Attributes
    ----------
    address : str or None
        Of a cluster to connect to; None to start one here.
    cpus, gpus : float or None
    resources : mapping of str to float
        What Ray is started with, and what a running one must have.
    object_store_bytes : int or None
    log_to_driver : bool
    runtime_env : mapping
        For the whole connection (``working_dir``, ``py_modules``).
    """

    address: str | None = None
    cpus: float | None = None
    gpus: float | None = None
    resources: Mapping[str, float] = field(default_factory=dict)
    object_store_bytes: int | None = None
    log_to_driver: bool = False
    runtime_env: Mapping[str, Any] = field(default_factory=dict)

    @property
    def required(self) -> dict[str, float]:
        """What a running Ray must have in all, by our names."""
        named = {"cpus": self.cpus, "gpus": self.gpus, **self.resources}
        return {name: float(amount) for name, amount in named.items() if amount}


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A connection to Ray.

    Attributes
    ----------
    lent : bool
        Whether it was there before, and is left alone.
    local : bool
        Whether every worker is on this machine.
    nodes : Nodes
    """

    lent: bool
    local: bool
    nodes: Nodes


class _Held:
    """The connection made here, if there is one, and how many use it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.users = 0
        self.directory: Path | None = None


# Ray keeps one connection a process, whatever we do: so its users are counted a process, too.
_HELD = _Held()


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
            f"executor 'ray': nothing can be reached at cluster_address={address!r}: {str(error) or 'no answer'}. It is "
            f"the address of the head node, as `ray start --head` prints it, by default with port 6379"
        ) from error


def join(wanted: Wanted) -> Session:
    """Connect to Ray as ``wanted``, or share the connection that is there; blocks for seconds.

    Raises
    ------
    OptionError
        If the connection that is there is another one than what is wanted.
    ResourceError
        If a running Ray lacks what it must have.
    BackendError
        If Ray does not start, or cannot be reached.
    """
    import ray

    with _HELD.lock:
        if not ray.is_initialized():
            _HELD.users = 0  # Whoever called ray.shutdown() has ended ours as well.
            _connect(wanted)
        elif _HELD.users == 0:
            _check_lent(wanted)
            return _seen(wanted, lent=True)
        else:
            _check_lent(wanted)
        _HELD.users += 1
    try:
        return _seen(wanted, lent=False)
    except BaseException:
        leave()
        raise


def leave() -> None:
    """Give up a connection that was made here; the last one out ends it, and Ray if it was started here."""
    import ray

    with _HELD.lock:
        _HELD.users -= 1
        if _HELD.users > 0:
            return
        try:
            ray.shutdown()
        finally:
            _remove_directory()


def _remove_directory() -> None:
    directory, _HELD.directory = _HELD.directory, None
    if directory is not None:
        shutil.rmtree(directory, ignore_errors=True)


def _connect(wanted: Wanted) -> None:
    with _clean_environment(), _on_loopback(wanted):
        import ray

        options: dict[str, Any] = {
            "log_to_driver": wanted.log_to_driver,
            "configure_logging": False,
            "runtime_env": dict(wanted.runtime_env) or None,
        }
        if wanted.address is None:
            options |= _local_options(wanted)
        else:
            options["address"] = wanted.address
        try:
            ray.init(**options)
        except Exception as error:
            where = "start" if wanted.address is None else f"connect to {wanted.address!r}"
            with contextlib.suppress(Exception):
                ray.shutdown()
            _remove_directory()
            raise BackendError(f"executor 'ray': Ray did not {where}: {error}") from error


def _local_options(wanted: Wanted) -> dict[str, Any]:
    options: dict[str, Any] = {
        "address": "local",  # Whatever RAY_ADDRESS says.
        "num_cpus": usable_cores() if wanted.cpus is None else wanted.cpus,
        "num_gpus": wanted.gpus,
        "resources": dict(wanted.resources) or None,
        "object_store_memory": wanted.object_store_bytes or OBJECT_STORE_BYTES,
        "include_dashboard": False,
        "_node_ip_address": LOOPBACK,
    }
    directory = Path(tempfile.mkdtemp(prefix="ax-ray-"))
    _HELD.directory = directory
    if len(str(directory)) <= _LONGEST_DIRECTORY:
        options["_temp_dir"] = str(directory)
    return options


def _check_lent(wanted: Wanted) -> None:
    """Raise where a connection that is there cannot be as wanted."""
    import ray

    there: str = ray.get_runtime_context().gcs_address
    if wanted.address not in {None, "auto", there}:
        raise OptionError(
            f"executor 'ray': cluster_address is {wanted.address!r}, and this process is connected to Ray at "
            f"{there!r} already. Leave cluster_address out, or call ray.shutdown() first"
        )
    refused = {
        "object_store_memory": wanted.object_store_bytes,
        "log_to_driver": wanted.log_to_driver,
        **{
            name: [part for part in _listed(value) if "://" not in str(part)]
            for name, value in wanted.runtime_env.items()
        },
    }
    for option, value in refused.items():
        if value:
            raise OptionError(
                f"executor 'ray': {option}={value!r} has to be said when Ray is connected to, and this process is "
                f"connected already. Say it in ray.init(), or call ray.shutdown() first"
            )


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _seen(wanted: Wanted, *, lent: bool) -> Session:
    import ray

    told: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call] # it has no annotations
    alive = [node for node in told if node["Alive"]]
    here = ray.get_runtime_context().get_node_id()
    nodes = Nodes.of(alive)
    for name, amount in wanted.required.items():
        has = nodes.named.get(name, 0.0)
        if amount > has:
            raise ResourceError(
                f"executor 'ray': {amount:g} of resource {name!r} is wanted, and the Ray cluster that "
                f"runs has {has:g}. Ask for less, or start Ray with more"
            )
    return Session(lent=lent, local=[node["NodeID"] for node in alive] == [here], nodes=nodes)


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
def _on_loopback(wanted: Wanted) -> Generator[None]:
    """Have a Ray that is started here listen on loopback only.

    Asked for 127.0.0.1, Ray takes the machine's address in the network instead, and listens everywhere, except where
    it knows no clusters: so that is what it is told while it starts. Its token guards it in any case.
    """
    from ray._private import ray_constants as constants

    known: bool | None = getattr(constants, "ENABLE_RAY_CLUSTER", None)
    if wanted.address is not None or known is None:
        yield
        return
    constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        constants.ENABLE_RAY_CLUSTER = known
