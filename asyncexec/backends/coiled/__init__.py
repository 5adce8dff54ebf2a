"""The ``coiled`` executor."""

from typing import TYPE_CHECKING

from asyncexec.lazy import names_of

if TYPE_CHECKING:
    from asyncexec.backends.coiled.backend import CoiledBackend as CoiledBackend
else:
    __getattr__, __dir__ = names_of(__name__, {"CoiledBackend": "backend"})
