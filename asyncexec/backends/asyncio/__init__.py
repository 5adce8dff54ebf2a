"""The ``asyncio`` executor."""

from typing import TYPE_CHECKING

from asyncexec.lazy import names_of

if TYPE_CHECKING:
    from asyncexec.backends.asyncio.backend import AsyncioBackend as AsyncioBackend
else:
    __getattr__, __dir__ = names_of(__name__, {"AsyncioBackend": "backend"})
