"""Inspection of the namespace, by the array API standard."""

from __future__ import annotations

from typing import Any

import numpy as np

from asyncexec.array.dtypes import KINDS
from asyncexec.array.operands import check_device

# NumPy's own limit, which holds for each block.
_MOST_AXES = 64
# The standard has no type of 16 bits.
_BEYOND = frozenset({"float16"})


class NamespaceInfo:
    """Capabilities, devices and element types of the namespace; made by ``__array_namespace_info__()``."""

    __slots__ = ()

    def capabilities(self) -> dict[str, Any]:
        """Return what may be relied upon: boolean indices, shapes that depend on data, and the most axes.

        Shapes that depend on data are worked out at once: a small array of counts is computed for them.
        """
        return {
            "boolean indexing": True,
            "data-dependent shapes": True,
            "max dimensions": _MOST_AXES,
        }

    def default_device(self) -> str:
        """Return the only device."""
        return "cpu"

    def devices(self) -> tuple[str, ...]:
        """Return all devices: the CPU, whatever machines the executor has."""
        return ("cpu",)

    def default_dtypes(self, *, device: str | None = None) -> dict[str, np.dtype[Any]]:
        """Return the element types that arrays have where none is said.

        Raises
        ------
        ValueError
            For a device other than ``"cpu"``.
        """
        check_device(device)
        return {
            "real floating": np.dtype(np.float64),
            "complex floating": np.dtype(np.complex128),
            "integral": np.dtype(np.int64),
            "indexing": np.dtype(np.int64),
        }

    def dtypes(
        self, *, device: str | None = None, kind: str | tuple[str, ...] | None = None
    ) -> dict[str, np.dtype[Any]]:
        """Return the standard's element types of a kind (all by default) by their names.

        Raises
        ------
        ValueError
            For a device other than ``"cpu"``, or an unknown kind.
        """
        check_device(device)
        kinds = ("bool", "numeric") if kind is None else (kind,) if isinstance(kind, str) else kind
        for each in kinds:
            if each not in KINDS:
                raise ValueError(
                    f"{each!r} is no kind of element type: use one of {', '.join(KINDS)}"
                )
        names = dict.fromkeys(name for each in kinds for name in KINDS[each])
        return {name: np.dtype(name) for name in names if name not in _BEYOND}


def __array_namespace_info__() -> NamespaceInfo:  # noqa: N807 - the standard's name
    """Return the description of the namespace: its capabilities, devices and element types.

    >>> info = xp.__array_namespace_info__()
    >>> info.default_dtypes()["integral"], info.devices()
    (dtype('int64'), ('cpu',))
    >>> sorted(info.dtypes(kind="signed integer"))
    ['int16', 'int32', 'int64', 'int8']
    """
    return NamespaceInfo()
