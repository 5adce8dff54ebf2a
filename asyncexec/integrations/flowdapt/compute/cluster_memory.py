"""Values that tasks share by key, under the names that Flowdapt has for the calls."""

from __future__ import annotations

from typing import Any

from asyncexec.cluster_memory.inside import get_cluster_memory
from asyncexec.errors import OptionError

__all__ = [
    "check_for_key_in_cluster_memory",
    "delete_from_cluster_memory",
    "get_from_cluster_memory",
    "put_in_cluster_memory",
]


def put_in_cluster_memory(
    key: str, value: Any, *, namespace: str = "", backend: str | None = None, **kwargs: Any
) -> None:
    """Store a value under a key; the memory is that of the run."""
    _check(backend, kwargs)
    get_cluster_memory().sync.put(key, value, namespace=namespace or None)


def get_from_cluster_memory(
    key: str, *, namespace: str = "", backend: str | None = None, **kwargs: Any
) -> Any:
    """Return the value of a key; KeyError where there is none."""
    _check(backend, kwargs)
    return get_cluster_memory().sync.get(key, namespace=namespace or None)


def delete_from_cluster_memory(
    key: str, *, namespace: str = "", backend: str | None = None, **kwargs: Any
) -> None:
    """Delete the value of a key."""
    _check(backend, kwargs)
    get_cluster_memory().sync.delete(key, namespace=namespace or None)


def check_for_key_in_cluster_memory(
    key: str, *, namespace: str = "", backend: str | None = None, **kwargs: Any
) -> bool:
    """Return whether there is a value under a key."""
    _check(backend, kwargs)
    return get_cluster_memory().sync.exists(key, namespace=namespace or None)


def _check(backend: str | None, options: dict[str, Any]) -> None:
    """Refuse options of Flowdapt's own memories; the name of a backend says nothing here, as a run has one memory."""
    del backend
    if options:
        raise OptionError(
            f"the cluster memory has no options in a call: leave out {', '.join(options)}, and give the executor "
            f"cluster_memory settings"
        )
