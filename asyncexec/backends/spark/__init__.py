"""The ``spark`` executor."""

from typing import TYPE_CHECKING

from asyncexec.lazy import names_of

if TYPE_CHECKING:
    from asyncexec.backends.spark.backend import SparkBackend as SparkBackend
else:
    __getattr__, __dir__ = names_of(__name__, {"SparkBackend": "backend"})
