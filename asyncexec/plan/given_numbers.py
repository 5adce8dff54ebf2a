"""Numbers as callers give them: NumPy's are numbers as Python's are, booleans are none."""

from __future__ import annotations

import operator
import sys
from numbers import Real

_MOST = int(sys.float_info.max)


def as_whole_number(value: object) -> int | None:
    """Return an integer of any kind as Python's; None for anything else, such as True or 2.0.

    >>> import numpy as np
    >>> from asyncexec.plan.given_numbers import as_whole_number
    >>> as_whole_number(np.int8(3)), as_whole_number(True), as_whole_number(2.0)
    (3, None, None)
    """
    if type(value) is int:
        return value
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)  # type: ignore[arg-type]  # what has no index is answered for below
    except TypeError:
        return None


def as_real_number(value: object) -> float | None:
    """Return a real number of any kind as Python's int or float; None for anything else, such as True or "2".

    >>> import numpy as np
    >>> from asyncexec.plan.given_numbers import as_real_number
    >>> as_real_number(np.float32(0.5)), as_real_number(np.int64(2)), as_real_number(False)
    (0.5, 2, None)
    >>> as_real_number(10**400) is None
    True
    """
    if type(value) is float:
        return value
    whole = as_whole_number(value)
    if whole is not None:
        return whole if abs(whole) <= _MOST else None  # What no float can hold.
    return float(value) if isinstance(value, Real) and not isinstance(value, bool) else None
