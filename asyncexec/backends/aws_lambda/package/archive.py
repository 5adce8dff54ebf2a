"""A folder as a zip archive, the same bytes for the same content."""

from __future__ import annotations

import os
import zipfile
from collections import Counter
from pathlib import Path

from asyncexec.errors import ConfigurationError
from asyncexec.plan.memory import format_bytes

# The earliest that the format knows.
_MOMENT = (1980, 1, 1, 0, 0, 0)
_LEFT_OUT = frozenset({"__pycache__", "bin"})
_LARGEST_SHOWN = 5


def files_in(folder: Path) -> list[Path]:
    """Return the files that go into the archive, in order; compiled modules and scripts do not."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and path.suffix != ".pyc"
        and path.relative_to(folder).parts[0] not in _LEFT_OUT
        and "__pycache__" not in path.parts
    )


def check_size(folder: Path, most: int) -> int:
    """Return how many bytes the files have together; raises ConfigurationError if that is more than ``most``."""
    sizes: Counter[str] = Counter()
    for path in files_in(folder):
        sizes[path.relative_to(folder).parts[0]] += path.stat().st_size
    total = sizes.total()
    if total > most:
        largest = ", ".join(
            f"{name} ({format_bytes(size)})" for name, size in sizes.most_common(_LARGEST_SHOWN)
        )
        raise ConfigurationError(
            f"unpacked, this makes {format_bytes(total)}, and a function may have {format_bytes(most)}. "
            f"The largest: {largest}. Leave packages out, or deploy a container image"
        )
    return total


def write_archive(folder: Path, path: Path) -> int:
    """Write the archive, and return its size in bytes; raises ConfigurationError if it cannot be written."""
    part = path.with_name(f"{path.name}.part")
    try:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for file in files_in(folder):
                entry = zipfile.ZipInfo(file.relative_to(folder).as_posix(), _MOMENT)
                entry.compress_type = zipfile.ZIP_DEFLATED
                # Readable by the user that Lambda runs as, whatever the umask was here.
                mode = 0o755 if os.access(file, os.X_OK) else 0o644
                entry.external_attr = mode << 16
                archive.writestr(entry, file.read_bytes())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise ConfigurationError(f"{path} cannot be written: {error}") from error
    return path.stat().st_size
