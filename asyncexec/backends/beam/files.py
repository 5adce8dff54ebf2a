"""Small objects in any of Beam's file systems, on the driver and on workers."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

# The schemes of stores where an object appears only when it is complete; elsewhere it is renamed after writing.
_ATOMIC = ("gs", "s3", "azfs")


def exists(path: str) -> bool:
    """Return whether an object exists."""
    return bool(_systems().exists(path))


def read(path: str) -> bytes:
    """Return the content of an object."""
    from apache_beam.io.filesystem import CompressionTypes

    with _systems().open(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
        data: bytes = file.read()
    return data


def write(path: str, data: bytes) -> None:
    """Write an object, which others see complete or not at all."""
    from apache_beam.io.filesystem import CompressionTypes

    atomic = path.partition("://")[0] in _ATOMIC
    target = path if atomic else f"{path}.{uuid.uuid4().hex}"
    with _systems().create(target, compression_type=CompressionTypes.UNCOMPRESSED) as file:
        file.write(data)
    if not atomic:
        _systems().rename([target], [path])


def names(directory: str) -> set[str]:
    """Return the names of the objects in a directory."""
    (found,) = _systems().match([f"{directory}/*"])
    return {metadata.path.rpartition("/")[2] for metadata in found.metadata_list}


def delete_files(paths: Sequence[str]) -> None:
    """Delete objects or directories, if they exist."""
    from apache_beam.io.filesystem import BeamIOError

    if paths:
        with suppress(BeamIOError):
            _systems().delete(list(paths))


def _systems() -> Any:
    from apache_beam.io.filesystems import FileSystems

    return FileSystems
