"""The ``ray`` executor."""

from typing import TYPE_CHECKING

from asyncexec.lazy import names_of

if TYPE_CHECKING:
    from asyncexec.backends.ray.backend import RayBackend as RayBackend
else:
    __getattr__, __dir__ = names_of(__name__, {"RayBackend": "backend"})
