"""The array's way to its namespace, which is made of modules above it."""

from __future__ import annotations

import sys
from types import ModuleType

API_VERSION = "2025.12"
_VERSIONS = ("2021.12", "2022.12", "2023.12", "2024.12", API_VERSION)


def namespace(api_version: str | None = None) -> ModuleType:
    """Return :mod:`asyncexec.array`.

    Raises
    ------
    ValueError
        If another version of the standard is asked for than there is.
    """
    if api_version is not None and api_version not in _VERSIONS:
        raise ValueError(
            f"version {api_version!r} of the array API standard is not supported: use {API_VERSION!r}"
        )
    return sys.modules[__name__.rpartition(".")[0]]
