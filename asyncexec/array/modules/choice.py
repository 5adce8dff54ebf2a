"""The array modules that there are, by name, and the element types of each."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any

import numpy as np

from asyncexec.errors import OptionError

_STANDARD = frozenset(
    (
        *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        *("float32", "float64", "complex64", "complex128"),
    )
)
# Most operations of PyTorch do not take them.
_UNSIGNED = frozenset(("uint16", "uint32", "uint64"))


@dataclass(frozen=True, slots=True)
class ArrayModule:
    """An array module by the name that users say.

    Attributes
    ----------
    name : str
    namespace : str
        The Python module whose functions are those of the array API standard.
    package : str
        What has to be installed on workers, in messages.
    dtypes : frozenset of str
        The element types it computes with; those of other types are computed by NumPy.
    """

    name: str
    namespace: str
    package: str
    dtypes: frozenset[str]

    def takes(self, *dtypes: np.dtype[Any]) -> bool:
        """Return True if it computes with elements of all these types."""
        return all(dtype.name in self.dtypes for dtype in dtypes)


_COMPATIBLE = "{0} and array-api-compat"
_MODULES = {
    module.name: module
    for module in (
        ArrayModule(
            "cupy", "array_api_compat.cupy", _COMPATIBLE.format("cupy"), _STANDARD | {"float16"}
        ),
        ArrayModule(
            "torch", "array_api_compat.torch", _COMPATIBLE.format("torch"), _STANDARD - _UNSIGNED
        ),
        ArrayModule("jax.numpy", "jax.numpy", "jax", _STANDARD | {"float16"}),
        ArrayModule("array_api_strict", "array_api_strict", "array-api-strict", _STANDARD),
    )
}
MODULE_NAMES = ("numpy", *_MODULES)


def chosen_module(name: Any) -> ArrayModule | None:
    """Return the array module called ``name``; None for NumPy.

    Raises
    ------
    OptionError
        If there is none of that name.
    """
    if name == "numpy":
        return None
    if isinstance(name, str) and name in _MODULES:
        return _MODULES[name]
    near = difflib.get_close_matches(str(name), (*MODULE_NAMES, "jax"), 1, 0.5)
    found = next((each for each in MODULE_NAMES if near and each.startswith(near[0])), None)
    meant = f"did you mean {found!r}?" if found else f"give one of {', '.join(MODULE_NAMES)}"
    raise OptionError(f"array_module={name!r} is not an array module that is known here: {meant}")
