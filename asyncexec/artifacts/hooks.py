"""Functions that save a value in an artifact, and load it again: JSON, bytes, pickles.

Each is made by a function with options: ``json_to_artifact("report")`` returns a function of an artifact and a value.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from typing import Any

import cloudpickle

from asyncexec.artifacts.artifact import Artifact
from asyncexec.errors import OptionError, SerializationError

type SaveHook = Callable[[Artifact, Any], Any]
type LoadHook = Callable[[Artifact], Any]

TYPE = "value_type"
FILE = "value_file"
OBJECT = "object"


def json_to_artifact(name: str = "file") -> SaveHook:
    """Return a function that saves a value as ``{name}.json``.

    >>> from asyncexec.artifacts import get_artifact, json_from_artifact, json_to_artifact
    >>> artifact = get_artifact("report", base_path="runs", create=True)
    >>> json_to_artifact()(artifact, {"mean": 2.5})
    >>> json_from_artifact()(artifact)
    {'mean': 2.5}
    """

    def save(artifact: Artifact, value: Any) -> None:
        try:
            data = json.dumps(value).encode()
        except (TypeError, ValueError) as error:
            raise SerializationError(f"this value is no JSON: {error}") from None
        save_bytes(artifact, f"{name}.json", data, "json")

    return save


def json_from_artifact(name: str = "file") -> LoadHook:
    """Return a function that loads what :func:`json_to_artifact` has saved."""
    return lambda artifact: json.loads(load_bytes(artifact, f"{name}.json", "json"))


def bytes_to_artifact(name: str = "file") -> SaveHook:
    """Return a function that saves bytes as they are, as ``{name}.bin``.

    >>> from asyncexec.artifacts import bytes_from_artifact, bytes_to_artifact, get_artifact
    >>> artifact = get_artifact("raw", base_path="runs", create=True)
    >>> bytes_to_artifact()(artifact, b"abc")
    >>> bytes_from_artifact()(artifact)
    b'abc'
    """

    def save(artifact: Artifact, value: Any) -> None:
        if not isinstance(value, bytes | bytearray | memoryview):
            raise SerializationError(f"a {type(value).__qualname__} is no bytes")
        save_bytes(artifact, f"{name}.bin", bytes(value), "bytes")

    return save


def bytes_from_artifact(name: str = "file") -> LoadHook:
    """Return a function that loads what :func:`bytes_to_artifact` has saved."""
    return lambda artifact: load_bytes(artifact, f"{name}.bin", "bytes")


def pickle_to_artifact(name: str = "file") -> SaveHook:
    """Return a function that saves a value as ``{name}.pkl``; a script's classes and functions are pickled by value.

    >>> from asyncexec.artifacts import get_artifact, pickle_from_artifact, pickle_to_artifact
    >>> artifact = get_artifact("state", base_path="runs", create=True)
    >>> pickle_to_artifact()(artifact, {1, 2})
    >>> pickle_from_artifact()(artifact)
    {1, 2}
    """
    return lambda artifact, value: save_bytes(artifact, f"{name}.pkl", pickled(value), "pickle")


def pickle_from_artifact(name: str = "file") -> LoadHook:
    """Return a function that loads what :func:`pickle_to_artifact` has saved; pickles run code, so trust the place."""
    return lambda artifact: pickle.loads(load_bytes(artifact, f"{name}.pkl", "pickle"))  # noqa: S301 - the docstring warns of it


def object_to_artifact(artifact: Artifact, value: Any) -> None:
    """Save any value that can be pickled, as the object store does where nobody says otherwise."""
    save_bytes(artifact, OBJECT, pickled(value), OBJECT)


def object_from_artifact(artifact: Artifact) -> Any:
    """Load what :func:`object_to_artifact` has saved."""
    return pickle.loads(load_bytes(artifact, OBJECT, OBJECT))  # noqa: S301 - the user's own storage


def save_bytes(artifact: Artifact, filename: str, data: bytes, kind: str) -> None:
    """Save bytes as a file, and note in the metadata what they are."""
    artifact.new_file(filename).write(data)
    artifact[TYPE] = kind
    artifact[FILE] = filename


def load_bytes(artifact: Artifact, filename: str, kind: str) -> bytes:
    """Return the bytes of a file; raises OptionError where the metadata say that they are something else."""
    check_kind(artifact, kind)
    data: bytes = artifact.get_file(filename).read()
    return data


def check_kind(artifact: Artifact, *kinds: str) -> None:
    """Raise OptionError unless an artifact holds a value of one of these kinds."""
    found = artifact.get_meta(TYPE)
    if found not in kinds:
        raise OptionError(
            f"artifact {artifact.uri} holds {found or 'no value'}, not {' or '.join(kinds)}: load it by the hook that "
            f"belongs to the one it was saved by"
        )


def pickled(value: Any) -> bytes:
    """Return a value pickled, by value where needed.

    Raises
    ------
    SerializationError
        If it cannot be pickled.
    """
    try:
        data: bytes = cloudpickle.dumps(value, protocol=5)
    except MemoryError:
        raise
    except Exception as error:
        raise SerializationError(
            f"a {type(value).__qualname__} cannot be pickled: {type(error).__name__}: {error}. Save it by a hook of "
            f"its own"
        ) from error
    return data
