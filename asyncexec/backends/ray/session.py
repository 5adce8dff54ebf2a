"""The connection of this process to Ray: made here and shared, or made before by others.

A process has at most one connection to Ray. One that was made here is shared by all backends of the process, and ends
with the last of them; one that was made before is used and left alone.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from asyncexec.backends.ray.actor_options import check_place
from asyncexec.backends.ray.connection import (
    Connection,
    connect_ray,
    import_ray,
    job_identity,
)
from asyncexec.backends.ray.options import RayOptions
from asyncexec.backends.ray.resources import Nodes
from asyncexec.errors import OptionError, ResourceError
from asyncexec.plan.memory import format_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RaySession:
    """A backend's view of Ray."""

    connection: Connection | None
    """None for a connection that was made before, and is left alone."""
    local: bool
    """True if every worker is on this machine."""
    nodes: Nodes


class _ProcessState:
    """The connection that was made in this process, if any, and its lock; Ray allows one for each process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.connection: Connection | None = None


_THIS_PROCESS = _ProcessState()


def acquire_session(options: RayOptions) -> RaySession:
    """Connect to Ray as the options say, or share the existing connection; blocks for seconds.

    Raises
    ------
    OptionError
        If the existing connection does not go with the options.
    ResourceError
        If a running Ray has fewer resources than required.
    BackendError
        If Ray does not start, or cannot be reached.
    """
    import_ray()
    import ray

    with _THIS_PROCESS.lock:
        if not ray.is_initialized():
            _THIS_PROCESS.connection = connect_ray(options)
        else:
            _check_compatible(options)
        connection = _THIS_PROCESS.connection
        if connection is not None and connection.job_identity != job_identity():
            connection = _THIS_PROCESS.connection = None
        if connection is not None:
            connection.users += 1
    try:
        session = RaySession(connection=connection, **inspect_cluster())
        _check_resources(options, session.nodes)
    except BaseException:
        release_connection(connection)
        raise
    return session


def inspect_cluster() -> dict[str, Any]:
    """Return the parts of a session that may change: its nodes, and whether they are all here; blocks."""
    import ray

    found: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call] # it has no annotations
    alive = [node["NodeID"] for node in found if node["Alive"]]
    here = ray.get_runtime_context().get_node_id()
    return {"local": alive == [here], "nodes": Nodes.of(found)}


def release_connection(connection: Connection | None) -> None:
    """Release a connection; the last user ends it, and Ray if it was started here; blocks."""
    import ray

    if connection is None:
        return
    with _THIS_PROCESS.lock:
        connection.users -= 1
        if connection.users:
            return
        try:
            if connection is _THIS_PROCESS.connection:
                _THIS_PROCESS.connection = None
            # Other code of this process may have ended it, and made another.
            if ray.is_initialized() and connection.job_identity == job_identity():
                ray.shutdown()
        finally:
            connection.keep_alive.end()
            if connection.directory is not None:
                connection.directory.remove()


def _check_compatible(options: RayOptions) -> None:
    """Raise if the existing connection does not go with the options."""
    import ray

    there: str = ray.get_runtime_context().gcs_address
    if options.address not in {None, "auto", there}:
        raise OptionError(
            f"executor 'ray': cluster_address is {options.address!r}, and this process is connected to Ray at "
            f"{there!r} already. Leave cluster_address out, or call ray.shutdown() first"
        )
    refused = {
        "object_store_memory": options.object_store_bytes,
        "dashboard_port": options.dashboard_port,
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


def _check_resources(options: RayOptions, nodes: Nodes) -> None:
    for name, amount in options.required.items():
        has = nodes.named.get(name, 0.0)
        if amount > has:
            raise ResourceError(
                f"executor 'ray': {amount:g} of resource {name!r} is wanted, and the Ray cluster that "
                f"runs has {has:g}. Ask for less, or start Ray with more"
            )
    has = int(nodes.total("memory"))
    if options.memory_bytes is not None and options.memory_bytes > has:
        raise ResourceError(
            f"executor 'ray': {format_bytes(options.memory_bytes)} of memory are wanted, and the Ray cluster that runs "
            f"has {format_bytes(has)}. Ask for less, or start Ray with more"
        )
    if options.actor is not None:
        check_place(options.actor, nodes.named, cluster="the Ray cluster")
