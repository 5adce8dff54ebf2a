"""The ``threads`` executor."""

from typing import TYPE_CHECKING

from asyncexec.lazy import names_of

if TYPE_CHECKING:
    from asyncexec.backends.threads.backend import ThreadsBackend as ThreadsBackend
else:
    __getattr__, __dir__ = names_of(__name__, {"ThreadsBackend": "backend"})
