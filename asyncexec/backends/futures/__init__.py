"""The ``futures`` executor."""

from typing import TYPE_CHECKING

from asyncexec.lazy import names_of

if TYPE_CHECKING:
    from asyncexec.backends.futures.backend import FuturesBackend as FuturesBackend
else:
    __getattr__, __dir__ = names_of(__name__, {"FuturesBackend": "backend"})
