"""The answers of a memory's server to the requests of its clients."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from asyncexec.cluster_memory.host_memory import HostMemory, Stored
from asyncexec.cluster_memory.keys import checked_name, nearest_keys
from asyncexec.cluster_memory.messages import message_of, stored_in
from asyncexec.errors import ClusterMemoryError
from asyncexec.events.outcome import ValueHandle

if TYPE_CHECKING:
    from collections.abc import Mapping

type Answer = tuple[dict[str, Any], bytes]


def answer(memory: HostMemory, said: dict[str, Any], body: memoryview) -> Answer:
    """Do what a request says, and return the answer.

    Raises
    ------
    AsyncexecError
        If it cannot be done.
    """
    space, do = str(said.get("space")), said.get("do")
    namespace = checked_name(said.get("namespace"), "namespace")
    if (of_namespace := _OF_NAMESPACES.get(str(do))) is not None:
        return of_namespace(memory, space, namespace)
    key = checked_name(said.get("key"), "key")
    if do == "put":
        ttl = said.get("ttl")
        stored = _checked(memory, stored_in(said, body))
        memory.put(space, namespace, key, stored, None if ttl is None else float(ttl))
        return {}, b""
    if (of_key := _OF_KEYS.get(str(do))) is not None:
        return of_key(memory, space, namespace, key)
    raise ClusterMemoryError(f"there is no request {do!r:.80}")


def _keys(memory: HostMemory, space: str, namespace: str) -> Answer:
    return {"keys": memory.keys(space, namespace)}, b""


def _clear(memory: HostMemory, space: str, namespace: str) -> Answer:
    memory.clear(space, namespace)
    return {}, b""


def _get(memory: HostMemory, space: str, namespace: str, key: str) -> Answer:
    stored = memory.find(space, namespace, key)
    if stored is None:
        return {"missing": nearest_keys(key, memory.keys(space, namespace))}, b""
    return message_of(stored)


def _exists(memory: HostMemory, space: str, namespace: str, key: str) -> Answer:
    return {"found": memory.find(space, namespace, key) is not None}, b""


def _delete(memory: HostMemory, space: str, namespace: str, key: str) -> Answer:
    return {"found": memory.delete(space, namespace, key)}, b""


_OF_NAMESPACES: Mapping[str, Callable[[HostMemory, str, str], Answer]] = {
    "keys": _keys,
    "clear": _clear,
}
_OF_KEYS: Mapping[str, Callable[[HostMemory, str, str, str], Answer]] = {
    "get": _get,
    "exists": _exists,
    "delete": _delete,
}


def _checked(memory: HostMemory, stored: Stored) -> Stored:
    """Return a stored value; raises if it is said to be in a file that is none of the memory's."""
    if isinstance(stored, ValueHandle) and not memory.files.path(stored).is_file():
        raise ClusterMemoryError(f"there is no file of {stored}")
    return stored
