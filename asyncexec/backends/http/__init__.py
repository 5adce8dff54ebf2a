"""The ``http`` executor."""

from typing import TYPE_CHECKING

from asyncexec.lazy import names_of

if TYPE_CHECKING:
    from asyncexec.backends.http.backend import HttpBackend as HttpBackend
else:
    __getattr__, __dir__ = names_of(__name__, {"HttpBackend": "backend"})
