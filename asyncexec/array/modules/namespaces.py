"""The namespace of an array module on a worker, and the ways of a block to it and back."""

from __future__ import annotations

import importlib
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np

from asyncexec.array.modules.choice import ArrayModule

_ENABLED = True


class ArrayModuleMissingError(ImportError):
    """The array module that a spec asks for cannot be imported on the worker."""


@cache
def namespace_of(module: ArrayModule) -> Any:
    """Return the namespace of ``module``, imported when it is needed first.

    Raises
    ------
    ArrayModuleMissingError
        If it cannot be imported here.
    """
    try:
        return importlib.import_module(module.namespace)
    except ImportError as error:
        raise ArrayModuleMissingError(
            f"Spec(array_module={module.name!r}) needs {module.package} on every worker, and here {error}: "
            f"install it there, or leave array_module out"
        ) from error


@contextmanager
def full_precision(module: ArrayModule) -> Generator[None]:
    """Let ``module`` compute with 64 bits in this thread; of itself, JAX does with 32."""
    if module.name != "jax.numpy":
        yield
        return
    jax = importlib.import_module("jax")
    # Older releases have it among what is experimental.
    home = jax if hasattr(jax, "enable_x64") else importlib.import_module("jax.experimental")
    with home.enable_x64(_ENABLED):
        yield


def module_dtype(xp: Any, dtype: np.dtype[Any]) -> Any:
    """Return the element type of ``xp`` that is ``dtype``."""
    found = getattr(xp, dtype.name, None)
    return xp.bool_ if found is None and dtype.kind == "b" else found


def numpy_dtype(array: Any) -> np.dtype[Any]:
    """Return the element type of a module's ``array`` as NumPy's."""
    given = array.dtype
    return given if isinstance(given, np.dtype) else np.dtype(str(given).rpartition(".")[2])


def to_module(block: Any, module: ArrayModule) -> Any:
    """Return a NumPy block as an array of ``module``, on its default device."""
    xp = namespace_of(module)
    # Modules that share memory with NumPy take no array that is read-only, turned around, or of another byte order.
    ready = np.require(block, np.dtype(block.dtype).newbyteorder("="), ["C", "W"])
    if min(ready.strides, default=0) < 0:
        # Along axes of one element they do not count for NumPy.
        ready = ready.copy()
    with full_precision(module):
        return xp.asarray(ready.reshape(np.shape(block)))


def to_numpy(array: Any) -> Any:
    """Return an array of any module as a NumPy array, from whatever device."""
    if isinstance(array, np.ndarray | np.generic):
        return np.asarray(array)
    if hasattr(array, "detach"):
        # PyTorch: what tracks gradients or lies on a device is not converted without being asked to.
        return np.asarray(array.detach().cpu().resolve_conj().resolve_neg().numpy())
    if hasattr(array, "get") and hasattr(array, "device"):
        return np.asarray(array.get())
    return np.asarray(array)
