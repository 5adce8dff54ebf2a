"""The ``serial`` executor."""

from typing import TYPE_CHECKING

from asyncexec.lazy import names_of

if TYPE_CHECKING:
    from asyncexec.backends.serial.backend import SerialBackend as SerialBackend
else:
    __getattr__, __dir__ = names_of(__name__, {"SerialBackend": "backend"})
