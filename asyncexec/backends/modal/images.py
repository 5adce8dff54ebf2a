"""The image of the containers."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from asyncexec.backends.modal.options import ModalOptions

NEEDED = ("anyio", "cloudpickle", "msgspec", "numcodecs", "numpy", "zarr")
"""The packages that the core of asyncexec imports."""

OFTEN_USED = ("obstore", "fsspec")
"""Packages that are installed in containers if they are installed here, as chunks are then mostly in object stores."""


def image_of(options: ModalOptions) -> Any:
    """Return the image: the user's, or one like the driver's environment, with the requested packages added.

    Without an image of the user, the driver's own asyncexec is copied into it, so that both sides are the same.
    """
    import modal

    image: Any = options.image
    if image is None:
        # Functions that are pickled by value need the same minor version of Python.
        python = ".".join(platform.python_version_tuple()[:2])
        image = modal.Image.debian_slim(python_version=python).pip_install(*requirements())
    if options.pip:
        image = image.pip_install(*options.pip)
    own = ("asyncexec",) if options.image is None else ()
    modules = (*own, *(options.py_modules or ()))
    return image.add_local_python_source(*modules) if modules else image


def requirements() -> tuple[str, ...]:
    """Return the requirements of containers, in the versions that are installed here."""
    found = [f"{name}=={version(name)}" for name in NEEDED]
    for name in OFTEN_USED:
        try:
            found.append(f"{name}=={version(name)}")
        except PackageNotFoundError:
            continue
    return tuple(found)
