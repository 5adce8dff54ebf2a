"""The examples, whole programs on real data: those of a checkout's folder ``examples``, or those in the wheel.

``asyncexec demo`` is one of them. Workers import an example's functions by the same name in both places.
"""

from __future__ import annotations

from pathlib import Path

_CHECKOUT = Path(__file__).parents[2] / "examples"

# A wheel holds the examples in this folder; in site-packages, a folder `examples` would be somebody else's.
if not Path(__file__).with_name("climate").is_dir() and _CHECKOUT.is_dir():
    __path__.append(str(_CHECKOUT))
