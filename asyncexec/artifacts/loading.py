"""The function that loads a value from an artifact in whatever form it was saved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncexec.artifacts.datasets import (
    ARRAY,
    ARROW,
    PANDAS,
    array_from_artifact,
    dataframe_from_artifact,
)
from asyncexec.artifacts.hooks import (
    FILE,
    OBJECT,
    TYPE,
    bytes_from_artifact,
    json_from_artifact,
    object_from_artifact,
    pickle_from_artifact,
)
from asyncexec.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from asyncexec.artifacts.artifact import Artifact
    from asyncexec.artifacts.hooks import LoadHook

_IN_ONE_FILE: Mapping[str, Callable[[str], LoadHook]] = {
    "json": json_from_artifact,
    "bytes": bytes_from_artifact,
    "pickle": pickle_from_artifact,
}
_OTHERS: Mapping[str, LoadHook] = {
    OBJECT: object_from_artifact,
    ARRAY: array_from_artifact(),
    PANDAS: dataframe_from_artifact(),
    ARROW: dataframe_from_artifact(),
}


def value_from_artifact(artifact: Artifact) -> Any:
    """Return the value that one of the functions of this package has saved, by what the metadata say of it.

    >>> from asyncexec.artifacts import get_artifact, json_to_artifact, value_from_artifact
    >>> artifact = get_artifact("any", base_path="runs", create=True)
    >>> json_to_artifact("numbers")(artifact, [1, 2])
    >>> value_from_artifact(artifact)
    [1, 2]

    Raises
    ------
    OptionError
        If none of them has saved it.
    """
    said = artifact.metadata
    kind = str(said.get(TYPE))
    if kind in _IN_ONE_FILE:
        name = str(said.get(FILE, "file")).rpartition(".")[0]
        return _IN_ONE_FILE[kind](name or "file")(artifact)
    if kind in _OTHERS:
        return _OTHERS[kind](artifact)
    raise OptionError(
        f"artifact {artifact.uri} holds {said.get(TYPE) or 'no value'}, which a function of its own has to load "
        f"(load_artifact_hook)"
    )
