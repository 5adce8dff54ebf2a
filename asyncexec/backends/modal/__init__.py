"""The ``modal`` executor."""

from typing import TYPE_CHECKING

from asyncexec.lazy import names_of

if TYPE_CHECKING:
    from asyncexec.backends.modal.backend import ModalBackend as ModalBackend
else:
    __getattr__, __dir__ = names_of(__name__, {"ModalBackend": "backend"})
