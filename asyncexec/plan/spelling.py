"""One spelling for the ways to write the place of an array."""

from __future__ import annotations

import os
from urllib.parse import unquote, urlsplit


def one_spelling(location: str) -> str:
    """Return ``location`` as every way to write it becomes: a relative path, a URL of a file, a symbolic link."""
    if location.lower().startswith("file://"):
        location = unquote(urlsplit(location).path)
    return location.rstrip("/") if "://" in location else os.path.realpath(location)
