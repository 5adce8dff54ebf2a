"""Places for arrays that are kept until this process ends."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from itertools import count
from pathlib import Path

_NUMBERS = count()


def temporary_place() -> str:
    """Return a path where nothing is yet, in a directory that is removed when this process ends."""
    return str(_directory() / f"{next(_NUMBERS)}.zarr")


@cache
def _directory() -> Path:
    made = Path(tempfile.mkdtemp(prefix="asyncexec-persisted-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made
