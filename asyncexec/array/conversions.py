"""Conversions of arrays to NumPy's, to DLPack's capsules and to scalars of Python, all of which compute."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Self, SupportsIndex

import numpy as np

CPU = (1, 0)
"""DLPack's number of the device on which arrays are computed, and which one of its kind it is."""


class Conversions:
    """Conversions in terms of the computed elements."""

    __slots__ = ()

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Length along each axis."""

    @property
    @abstractmethod
    def ndim(self) -> int:
        """Number of axes."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Number of elements."""

    @property
    @abstractmethod
    def dtype(self) -> np.dtype[Any]:
        """Element type."""

    @abstractmethod
    def __getitem__(self, key: Any) -> Self: ...

    @abstractmethod
    def _compute(
        self, options: Mapping[str, Any], called: str, instead: str
    ) -> np.ndarray[Any, Any]:
        """Compute it; a running event loop is an error that names what was ``called``, and what to do ``instead``."""

    def item(self, *index: int) -> Any:
        """Compute one element, and return it as a Python scalar: the only one, or the one at ``index``.

        Raises
        ------
        ValueError
            If there are several, and no index is given.
        """
        if not index and self.size != 1:
            raise ValueError(
                f"only one element can become a scalar, and the shape is {self.shape}: give an index"
            )
        instead = "(value,) = await ax.compute(x), and then value.item()"
        if not index:
            return self._compute({}, "x.item()", instead).item()
        place = np.unravel_index(index[0], self.shape) if len(index) == 1 != self.ndim else index
        return self[tuple(map(int, place))].item()

    def tolist(self) -> Any:
        """Compute it, and return its elements as nested lists of Python scalars."""
        instead = "(value,) = await ax.compute(x), and then value.tolist()"
        return self._compute({}, "x.tolist()", instead).tolist()

    def __array__(self, dtype: Any = None, *, copy: bool | None = None) -> np.ndarray[Any, Any]:
        if copy is False:
            raise ValueError(
                "a lazy array must be computed to become a NumPy array: use copy=None or True"
            )
        value = self._compute({}, "numpy.asarray(x)", "(value,) = await ax.compute(x)")
        return value.astype(dtype or self.dtype, copy=False)

    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """Compute it, and return a capsule of DLPack with its elements; ``copy`` changes nothing, as they are new.

        Raises
        ------
        BufferError
            For another device than the CPU.
        ValueError
            If a stream is given.
        """
        if dl_device is not None and tuple(map(int, dl_device)) != CPU:
            raise BufferError(
                f"DLPack's device {dl_device} is not supported: there is {CPU}, the CPU, alone"
            )
        if stream is not None:
            raise ValueError(f"stream {stream!r} is not supported: arrays are computed on the CPU")
        given: dict[str, Any] = {} if max_version is None else {"max_version": max_version}
        value = self._compute({}, "x.__dlpack__()", "(value,) = await ax.compute(x)")
        return value.__dlpack__(**given)

    def __dlpack_device__(self) -> tuple[int, int]:
        """Return DLPack's number of the CPU; nothing is computed."""
        return CPU

    def _scalar(self, kind: str, called: str) -> Any:
        if self.size != 1 or self.ndim:
            raise TypeError(
                f"only an array without axes converts to {kind}; the shape is {self.shape}"
            )
        instead = f"(value,) = await ax.compute(x), and then {called.replace('(x)', '(value)')}"
        return self._compute({}, called, instead)[()]

    def __bool__(self) -> bool:
        return bool(self._scalar("bool", "bool(x)"))

    def __int__(self) -> int:
        return int(self._scalar("int", "int(x)"))

    def __float__(self) -> float:
        return float(self._scalar("float", "float(x)"))

    def __complex__(self) -> complex:
        return complex(self._scalar("complex", "complex(x)"))

    def __index__(self) -> int:
        if self.dtype.kind not in "iu":
            raise TypeError(
                f"only an integer array converts to an index; the elements are {self.dtype}"
            )
        index: SupportsIndex = self._scalar("an index", "operator.index(x)")
        return index.__index__()
