"""The ``processes`` executor."""

from typing import TYPE_CHECKING

from asyncexec.lazy import names_of

if TYPE_CHECKING:
    from asyncexec.backends.processes.backend import ProcessesBackend as ProcessesBackend
else:
    __getattr__, __dir__ = names_of(__name__, {"ProcessesBackend": "backend"})
