"""The cluster memory of the executor ``ray``: clients of a named actor, which is made when it is first called."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any
from uuid import uuid4

from asyncexec.backends.ray.actor_options import ActorOptions
from asyncexec.backends.ray.memory_actor import (
    HERE,
    MISSING,
    Packed,
    RayMemoryActor,
    actor_gone,
)
from asyncexec.cluster_memory.host_memory import WHERE, pickle_shared
from asyncexec.cluster_memory.keys import key_not_found
from asyncexec.errors import AsyncexecError, ClusterMemoryError

START_SECONDS = 120.0
ANSWER_SECONDS = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RayMemoryAddress:
    """The address of a space in an actor.

    Attributes
    ----------
    name, namespace : str
        The actor's, in Ray. Each engine has a namespace of its own.
    num_cpus : float
    max_concurrency : int
    resources : tuple of (str, float)
        Its options, with which whoever calls it first makes it.
    quota : int or None
    job : str
        The driver's job.
    space : str
    """

    name: str
    namespace: str
    num_cpus: float
    max_concurrency: int
    resources: tuple[tuple[str, float], ...]
    quota: int | None
    job: str
    space: str

    def open(self) -> RayMemoryClient:
        """Return a client; the actor is made by its first call, if it is not there."""
        return RayMemoryClient(self)


class RayMemoryClient:
    """The memory of one space, in an actor.

    Parameters
    ----------
    address : RayMemoryAddress
    """

    def __init__(self, address: RayMemoryAddress) -> None:
        self._address = address

    def put(self, namespace: str, key: str, value: Any, ttl: float | None) -> None:
        """Store a value."""
        buffers: list[pickle.PickleBuffer] = []
        data = pickle_shared(value, buffers)
        self._call("put", (self._address.space, namespace, key), (data, buffers), ttl)

    def get(self, namespace: str, key: str) -> Any:
        """Return a value; arrays in it cannot be written to, since other tasks read the same memory."""
        place, found = self._call("get", (self._address.space, namespace, key))
        if place == MISSING:
            raise key_not_found(key, namespace, found, WHERE)
        packed: Packed = found if place == HERE else self._fetched(found[0])
        data, buffers = packed
        return pickle.loads(data, buffers=[memoryview(b).toreadonly() for b in buffers])  # noqa: S301 - of a task

    def delete(self, namespace: str, key: str) -> bool:
        """Delete a value."""
        return bool(self._call("delete", (self._address.space, namespace, key)))

    def exists(self, namespace: str, key: str) -> bool:
        """Return whether there is a value."""
        return bool(self._call("exists", (self._address.space, namespace, key)))

    def keys(self, namespace: str) -> Sequence[str]:
        """Return the keys of a namespace."""
        keys: list[str] = self._call("keys", self._address.space, namespace)
        return keys

    def clear(self, namespace: str) -> None:
        """Delete all values of a namespace."""
        self._call("clear", self._address.space, namespace)

    def _call(self, method: str, *arguments: Any) -> Any:
        return self._translated(
            lambda ray: ray.get(
                getattr(_actor(self._address), method).remote(*arguments), timeout=ANSWER_SECONDS
            )
        )

    def _fetched(self, reference: Any) -> Packed:
        packed: Packed = self._translated(lambda ray: ray.get(reference, timeout=ANSWER_SECONDS))
        return packed

    def _translated(self, call: Callable[[Any], Any]) -> Any:
        """Return what a call of Ray returns, and raise what its errors mean."""
        import ray
        from ray.exceptions import GetTimeoutError, RayError, RayTaskError

        try:
            return call(ray)
        except RayTaskError as error:
            cause = getattr(error, "cause", None)
            if isinstance(cause, AsyncexecError):
                raise cause from None
            raise ClusterMemoryError(f"the cluster memory has failed: {error}") from error
        except GetTimeoutError as error:
            raise ClusterMemoryError(
                f"the actor {self._address.name!r} of this run's cluster memory does not answer: where it has not "
                f"started, check that a node of the cluster has what its options ask for"
            ) from error
        except RayError as error:
            raise actor_gone(self._address.name, error) from error


class RayMemoryHost:
    """The cluster memories of an engine on Ray.

    Parameters
    ----------
    options : ActorOptions
    quota : int or None
    """

    def __init__(self, options: ActorOptions, quota: int | None) -> None:
        import ray

        self._options = options
        self._quota = quota
        self._namespace = f"asyncexec-{uuid4().hex}"
        self._job = str(ray.get_runtime_context().get_job_id())

    def address(self, space: str) -> RayMemoryAddress:
        """Return the address of a space."""
        options = self._options
        return RayMemoryAddress(
            name=options.name,
            namespace=self._namespace,
            num_cpus=options.num_cpus,
            max_concurrency=options.max_concurrency,
            resources=tuple(sorted(options.resources.items())),
            quota=self._quota,
            job=self._job,
            space=space,
        )

    def client(self, space: str) -> RayMemoryClient:
        """Return a client for the driver."""
        return self.address(space).open()

    async def close_space(self, space: str) -> None:
        """Delete a space, if there is an actor."""
        await asyncio.to_thread(self._with_actor, _closing(space))

    async def close(self) -> None:
        """End the actor, if there is one."""
        await asyncio.to_thread(self._with_actor, _kill)

    def _with_actor(self, function: Callable[[Any], object]) -> None:
        import ray

        # Whatever goes wrong here, there is nothing left that could be closed.
        with contextlib.suppress(Exception):
            if ray.is_initialized():
                function(ray.get_actor(self._options.name, namespace=self._namespace))


def _closing(space: str) -> Callable[[Any], object]:
    def close(actor: Any) -> None:
        import ray

        ray.get(actor.close_space.remote(space), timeout=ANSWER_SECONDS)

    return close


def _kill(actor: Any) -> None:
    import ray

    ray.kill(actor)


@lru_cache(maxsize=16)
def _made(address: RayMemoryAddress) -> Any:
    """Return the actor of an engine, and make it if it is not there: its space does not matter."""
    import ray

    options = {
        "name": address.name,
        "namespace": address.namespace,
        "num_cpus": address.num_cpus,
        "max_concurrency": address.max_concurrency,
        "resources": dict(address.resources) or None,
        "get_if_exists": True,
        # It must outlive the worker that happens to make it.
        "lifetime": "detached",
        "max_restarts": 0,
    }
    actor: Any = ray.remote(RayMemoryActor).options(**options).remote(address.quota, address.job)
    ray.get(actor.ready.remote(), timeout=START_SECONDS)
    return actor


def _actor(address: RayMemoryAddress) -> Any:
    return _made(replace(address, space=""))
