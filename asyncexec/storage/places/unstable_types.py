"""Element types whose names in Zarr's format 3 may change, as of text and bytes: Zarr warns of them, which is silenced.

Python's filters of warnings are those of the whole process. A thread that puts back the ones it found undoes what
another has set meanwhile, so one thread at a time has them changed.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from threading import Lock

from zarr.errors import UnstableSpecificationWarning

_changing = Lock()


@contextmanager
def unstable_types_allowed() -> Generator[None]:
    """Silence Zarr's warnings of element types that are not in its specification yet."""
    with _changing, warnings.catch_warnings():
        warnings.simplefilter("ignore", UnstableSpecificationWarning)
        yield


def _renew_lock() -> None:
    global _changing  # noqa: PLW0603 - the copy's own, as another thread of the process may have held it
    _changing = Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
