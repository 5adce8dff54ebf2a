"""Ray in this process: started here, connected to, or lent by whoever started it before.

A process has at most one connection to Ray. One that was made here is shared by all backends of the process, and ends
with the last of them; one that was there before is used and left alone.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from asyncexec.backends.ray.connect import Connection, connect, job, remove
from asyncexec.backends.ray.options import RayOptions
from asyncexec.backends.ray.resources import Nodes
from asyncexec.errors import OptionError, ResourceError


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What a backend has of Ray.

    Attributes
    ----------
    connection : Connection or None
        None for one that was there before, and is left alone.
    local : bool
        Whether every worker is on this machine.
    nodes : Nodes
    """

    connection: Connection | None
    local: bool
    nodes: Nodes


class _Process:
    """What this process has of Ray, which keeps one connection in a process, whatever we do."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.connection: Connection | None = None


_PROCESS = _Process()


def join(options: RayOptions) -> Session:
    """Connect to Ray as the options say, or share the connection that is there; blocks for seconds.

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

    with _PROCESS.lock:
        if not ray.is_initialized():
            _PROCESS.connection = connect(options)
        else:
            _check_there(options)
        connection = _PROCESS.connection
        if connection is not None and connection.job != job():
            connection = _PROCESS.connection = None
        if connection is not None:
            connection.users += 1
    try:
        session = Session(connection=connection, **look())
        _check_enough(options, session.nodes)
    except BaseException:
        leave(connection)
        raise
    return session


def look() -> dict[str, Any]:
    """Return what of a session may change: its nodes, and whether they are all here; blocks."""
    import ray

    told: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call] # it has no annotations
    alive = [node["NodeID"] for node in told if node["Alive"]]
    here = ray.get_runtime_context().get_node_id()
    return {"local": alive == [here], "nodes": Nodes.of(told)}


def leave(connection: Connection | None) -> None:
    """Give up a connection; the last one out ends it, and Ray if it was started here; blocks."""
    import ray

    if connection is None:
        return
    with _PROCESS.lock:
        connection.users -= 1
        if connection.users:
            return
        try:
            if connection is _PROCESS.connection:
                _PROCESS.connection = None
            # Somebody else may have ended it, and made another.
            if ray.is_initialized() and connection.job == job():
                ray.shutdown()
        finally:
            connection.keeper.end()
            remove(connection.directory)


def _check_there(options: RayOptions) -> None:
    """Raise where a connection that is there cannot be as wanted."""
    import ray

    there: str = ray.get_runtime_context().gcs_address
    if options.address not in {None, "auto", there}:
        raise OptionError(
            f"executor 'ray': cluster_address is {options.address!r}, and this process is connected to Ray at "
            f"{there!r} already. Leave cluster_address out, or call ray.shutdown() first"
        )
    refused = {
        "object_store_memory": options.object_store_bytes,
        "log_to_driver": options.log_to_driver,
        **{
            name: [part for part in _listed(value) if "://" not in str(part)]
            for name, value in options.runtime_env.items()
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


def _check_enough(options: RayOptions, nodes: Nodes) -> None:
    for name, amount in options.required.items():
        has = nodes.named.get(name, 0.0)
        if amount > has:
            raise ResourceError(
                f"executor 'ray': {amount:g} of resource {name!r} is wanted, and the Ray cluster that "
                f"runs has {has:g}. Ask for less, or start Ray with more"
            )
