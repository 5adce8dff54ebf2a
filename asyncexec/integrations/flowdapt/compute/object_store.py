"""The object store, under the names that Flowdapt has for its calls."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from asyncexec.artifacts.hooks import object_to_artifact
from asyncexec.artifacts.loading import value_from_artifact
from asyncexec.errors import OptionError
from asyncexec.object_store import get_object_store

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asyncexec.artifacts.hooks import LoadHook, SaveHook

__all__ = ["Strategy", "default_load_hook", "default_save_hook", "delete", "exists", "get", "put"]


class Strategy(StrEnum):
    """The place of a value: cluster memory, an artifact, or the latter where the former fails."""

    FALLBACK = "fallback"
    ARTIFACT = "artifact"
    CLUSTER_MEMORY = "cluster_memory"


def default_save_hook() -> SaveHook:
    """Return the function that saves a value in an artifact where nothing else is said: pickled."""
    return object_to_artifact


def default_load_hook() -> LoadHook:
    """Return the function that loads a value by what the metadata of its artifact say."""
    return value_from_artifact


def put(
    key: str,
    value: Any,
    *,
    namespace: str = "",
    artifact_only: bool = False,
    strategy: str | None = None,
    executor: str | None = None,  # noqa: ARG001 - Flowdapt's; a run has one
    save_artifact_hook: SaveHook = object_to_artifact,
    cluster_memory_params: Mapping[str, Any] | None = None,
    artifact_params: Mapping[str, Any] | None = None,
) -> None:
    """Store a value under a key; in the storage of the engine."""
    chosen = _strategy(artifact_only, strategy, cluster_memory_params, artifact_params)
    get_object_store().sync.put(
        key, value, namespace=namespace, strategy=chosen, save_artifact_hook=save_artifact_hook
    )


def get(
    key: str,
    *,
    namespace: str = "",
    artifact_only: bool = False,
    strategy: str | None = None,
    executor: str | None = None,  # noqa: ARG001 - Flowdapt's; a run has one
    load_artifact_hook: LoadHook = value_from_artifact,
    cluster_memory_params: Mapping[str, Any] | None = None,
    artifact_params: Mapping[str, Any] | None = None,
) -> Any:
    """Return the value of a key; KeyError where there is none."""
    chosen = _strategy(artifact_only, strategy, cluster_memory_params, artifact_params)
    return get_object_store().sync.get(
        key, namespace=namespace, strategy=chosen, load_artifact_hook=load_artifact_hook
    )


def delete(
    key: str,
    *,
    namespace: str = "",
    artifact_only: bool = False,
    strategy: str | None = None,
    executor: str | None = None,  # noqa: ARG001 - Flowdapt's; a run has one
    cluster_memory_params: Mapping[str, Any] | None = None,
    artifact_params: Mapping[str, Any] | None = None,
) -> None:
    """Delete the value of a key."""
    chosen = _strategy(artifact_only, strategy, cluster_memory_params, artifact_params)
    get_object_store().sync.delete(key, namespace=namespace, strategy=chosen)


def exists(
    key: str,
    *,
    namespace: str = "",
    artifact_only: bool = False,
    strategy: str | None = None,
    executor: str | None = None,  # noqa: ARG001 - Flowdapt's; a run has one
    cluster_memory_params: Mapping[str, Any] | None = None,
    artifact_params: Mapping[str, Any] | None = None,
) -> bool:
    """Return whether there is a value under a key."""
    chosen = _strategy(artifact_only, strategy, cluster_memory_params, artifact_params)
    return get_object_store().sync.exists(key, namespace=namespace, strategy=chosen)


def _strategy(
    artifact_only: bool,  # noqa: FBT001 - as it was given
    strategy: str | None,
    cluster_memory_params: Mapping[str, Any] | None,
    artifact_params: Mapping[str, Any] | None,
) -> str | None:
    if cluster_memory_params or artifact_params:
        raise OptionError(
            "cluster memory and the storage of artifacts are those of the engine: leave out cluster_memory_params and "
            "artifact_params, and set Engine(object_store=..., cluster_memory=...), or storage in the configuration"
        )
    return "artifact" if artifact_only else strategy
