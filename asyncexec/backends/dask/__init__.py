"""The ``dask`` executor."""

from typing import TYPE_CHECKING

from asyncexec.lazy import names_of

if TYPE_CHECKING:
    from asyncexec.backends.dask.backend import DaskBackend as DaskBackend
else:
    __getattr__, __dir__ = names_of(__name__, {"DaskBackend": "backend"})
