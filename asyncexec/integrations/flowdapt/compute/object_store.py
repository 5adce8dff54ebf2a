"""The object store, under the names that Flowdapt has for its calls."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from asyncexec.artifacts.hooks import object_to_artifact
from asyncexec.artifacts.loading import value_from_artifact
from asyncexec.config.fields import refuse_unknown
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


class StoreOptions(TypedDict, total=False):
    """Options that every call takes.

    Attributes
    ----------
    artifact_only : bool
        The older form of ``strategy="artifact"``.
    strategy : str or None
        By default that of the engine.
    executor : str or None
        Of no effect: a run has one executor.
    cluster_memory_params, artifact_params : mapping or None
        Refused unless empty: both places are those of the engine.
    """

    artifact_only: bool
    strategy: str | None
    executor: str | None
    cluster_memory_params: Mapping[str, Any] | None
    artifact_params: Mapping[str, Any] | None


def put(
    key: str,
    value: Any,
    *,
    namespace: str = "",
    save_artifact_hook: SaveHook = object_to_artifact,
    **options: Unpack[StoreOptions],
) -> None:
    """Store a value under a key; in the storage of the engine."""
    get_object_store().sync.put(
        key,
        value,
        namespace=namespace,
        strategy=_strategy(options),
        save_artifact_hook=save_artifact_hook,
    )


def get(
    key: str,
    *,
    namespace: str = "",
    load_artifact_hook: LoadHook = value_from_artifact,
    **options: Unpack[StoreOptions],
) -> Any:
    """Return the value of a key; KeyError where there is none."""
    return get_object_store().sync.get(
        key,
        namespace=namespace,
        strategy=_strategy(options),
        load_artifact_hook=load_artifact_hook,
    )


def delete(key: str, *, namespace: str = "", **options: Unpack[StoreOptions]) -> None:
    """Delete the value of a key."""
    get_object_store().sync.delete(key, namespace=namespace, strategy=_strategy(options))


def exists(key: str, *, namespace: str = "", **options: Unpack[StoreOptions]) -> bool:
    """Return whether there is a value under a key."""
    return get_object_store().sync.exists(key, namespace=namespace, strategy=_strategy(options))


def _strategy(options: StoreOptions) -> str | None:
    refuse_unknown(options, StoreOptions.__annotations__, "a call of the object store")
    if options.get("cluster_memory_params") or options.get("artifact_params"):
        raise OptionError(
            "cluster memory and the storage of artifacts are those of the engine: leave out cluster_memory_params and "
            "artifact_params, and set Engine(object_store=..., cluster_memory=...), or storage in the configuration"
        )
    return "artifact" if options.get("artifact_only") else options.get("strategy")
