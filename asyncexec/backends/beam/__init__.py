"""The ``beam`` executor."""

from typing import TYPE_CHECKING

from asyncexec.lazy import names_of

if TYPE_CHECKING:
    from asyncexec.backends.beam.backend import BeamBackend as BeamBackend
else:
    __getattr__, __dir__ = names_of(__name__, {"BeamBackend": "backend"})
