"""Items that tasks get one each: anything that can be gone through, as something that can be indexed."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, cast

from asyncexec.errors import OptionError


def as_sequence(items: Iterable[Any]) -> Sequence[Any]:
    """Return ``items`` to be indexed: sequences and NumPy arrays as they are, anything else as a list.

    Raises
    ------
    OptionError
        If they cannot be gone through.
    """
    if isinstance(items, Sequence) and not isinstance(items, deque):
        return items
    numpy: Any = sys.modules.get("numpy")  # Who has an array has loaded it; nobody else needs it.
    array: Any = items
    if numpy is not None and isinstance(array, numpy.ndarray) and array.ndim:
        return cast("Sequence[Any]", array)  # Indexed and measured like one.
    try:
        return list(items)
    except TypeError as error:
        raise OptionError(
            f"items must be a sequence or another iterable, not {items!r}: {error}"
        ) from error
