"""Small objects in any of Beam's file systems, on the driver and on workers."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

# Where an object appears when it is complete; elsewhere it is written under another name first.
_WHOLE = ("gs", "s3", "azfs")


def exists(path: str) -> bool:
    """Whether there is an object."""
    return bool(_systems().exists(path))


def read(path: str) -> bytes:
    """Return what is in an object."""
    from apache_beam.io.filesystem import CompressionTypes

    with _systems().open(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
        data: bytes = file.read()
    return data


def write(path: str, data: bytes) -> None:
    """Make an object, which others see whole or not at all."""
    from apache_beam.io.filesystem import CompressionTypes

    whole = path.partition("://")[0] in _WHOLE
    target = path if whole else f"{path}.{uuid.uuid4().hex}"
    with _systems().create(target, compression_type=CompressionTypes.UNCOMPRESSED) as file:
        file.write(data)
    if not whole:
        _systems().rename([target], [path])


def names(directory: str) -> set[str]:
    """Return the names of the objects in a directory."""
    (found,) = _systems().match([f"{directory}/*"])
    return {metadata.path.rpartition("/")[2] for metadata in found.metadata_list}


def delete(paths: Sequence[str]) -> None:
    """Delete objects or directories, as far as they are there."""
    from apache_beam.io.filesystem import BeamIOError

    if paths:
        with suppress(BeamIOError):
            _systems().delete(list(paths))


def _systems() -> Any:
    from apache_beam.io.filesystems import FileSystems

    return FileSystems
