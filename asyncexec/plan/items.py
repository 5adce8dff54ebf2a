"""The items of tasks: any iterable, as a sequence that can be indexed."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, cast

from asyncexec.errors import OptionError


def as_sequence(items: Iterable[Any]) -> Sequence[Any]:
    """Return ``items`` as a sequence: sequences and NumPy arrays unchanged, other iterables as a list.

    Raises
    ------
    OptionError
        If they are not iterable.
    """
    if isinstance(items, Sequence) and not isinstance(items, deque):
        return items
    # Not imported here, which takes long: a caller with an array has imported it already.
    numpy: Any = sys.modules.get("numpy")
    array: Any = items
    if numpy is not None and isinstance(array, numpy.ndarray) and array.ndim:
        return cast("Sequence[Any]", array)  # Indexed and measured like one.
    try:
        return list(items)
    except TypeError as error:
        raise OptionError(
            f"items must be a sequence or another iterable, not {items!r}: {error}"
        ) from error
