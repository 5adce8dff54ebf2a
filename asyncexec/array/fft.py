"""The extension ``fft`` of the array API standard, offered as ``xp.fft``."""

from __future__ import annotations

from asyncexec.array.calls import name_in_errors
from asyncexec.array.frequencies import fftfreq, fftshift, ifftshift, rfftfreq
from asyncexec.array.transforms import (
    fft,
    fftn,
    hfft,
    ifft,
    ifftn,
    ihfft,
    irfft,
    irfftn,
    rfft,
    rfftn,
)

__all__ = [
    "fft",
    "fftfreq",
    "fftn",
    "fftshift",
    "hfft",
    "ifft",
    "ifftn",
    "ifftshift",
    "ihfft",
    "irfft",
    "irfftn",
    "rfft",
    "rfftfreq",
    "rfftn",
]

name_in_errors(globals(), __all__, module=__name__, prefix="xp.fft.")
