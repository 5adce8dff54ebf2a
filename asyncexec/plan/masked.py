"""Masked arrays at the border: chunks hold no mask, so one that hides elements is refused, never unmasked in silence.

Workers load this module, and it imports nothing: where NumPy's masked arrays are not loaded, there is none.
"""

from __future__ import annotations

import sys
from typing import Any


def is_masked(value: Any) -> bool:
    """Return whether ``value`` is a masked array (or ``numpy.ma.masked``) of which an element is masked."""
    masked = sys.modules.get("numpy.ma")
    if masked is None or not isinstance(value, masked.MaskedArray):
        return False
    mask = masked.getmask(value)
    # Of structured elements each field has a mask.
    return bool((mask if mask.dtype.names is None else masked.flatten_mask(mask)).any())


def unmasked(value: Any, what: str) -> Any:
    """Return ``value``, called ``what`` in messages.

    Raises
    ------
    TypeError
        If it has masked elements.
    """
    if is_masked(value):
        raise TypeError(
            f"{what} has masked elements, and chunks hold no mask: put a value in their place before, such as by "
            f".filled(numpy.nan), or for integers by .astype('float64').filled(numpy.nan)"
        )
    return value


def refuse_masked(value: Any, what: str) -> None:
    """Raise TypeError if ``value``, or an item of it where it is a list or tuple, has masked elements."""
    if "numpy.ma" not in sys.modules:
        return
    if isinstance(value, list | tuple):
        for item in value:
            refuse_masked(item, what)
    else:
        unmasked(value, what)
