"""The ``lithops`` executor."""

from typing import TYPE_CHECKING

from asyncexec.lazy import names_of

if TYPE_CHECKING:
    from asyncexec.backends.lithops.backend import LithopsBackend as LithopsBackend
else:
    __getattr__, __dir__ = names_of(__name__, {"LithopsBackend": "backend"})
