"""Patience of tests that wait for something: longer on a machine that is slow or busy, or that is said to be."""

from __future__ import annotations

import functools
import math
import os
import subprocess
import sys
import time

VARIABLE = "ASYNCEXEC_PATIENCE"
# What `python -c "import asyncio"` takes on the machines that the tests' seconds were written for.
USUAL_START_SECONDS = 0.2
LONGEST_START_SECONDS = 60.0


def scaled(seconds: float) -> float:
    """Return the seconds to wait for what takes at most ``seconds`` on a usual machine with nothing else to do.

    They are multiplied by the environment variable ``ASYNCEXEC_PATIENCE`` (1 by default), and by how much slower than
    usual this machine starts an interpreter, or by the work that waits for each of its cores, whichever is more.
    """
    return seconds * _said() * max(1.0, _slowness(), _load())


def _said() -> float:
    text = os.environ.get(VARIABLE) or "1"
    try:
        factor = float(text)
    except ValueError:
        factor = math.nan
    if not 0.0 < factor < math.inf:
        raise ValueError(f"{VARIABLE} is {text!r}; give a factor above 0, such as 2.5, or unset it")
    return factor


@functools.cache
def _slowness() -> float:
    """Return how many times as long as usual it takes to start an interpreter; measured once."""
    began = time.monotonic()
    command = [sys.executable, "-I", "-c", "import asyncio"]
    subprocess.run(command, check=True, timeout=LONGEST_START_SECONDS)  # noqa: S603 - our own interpreter
    return (time.monotonic() - began) / USUAL_START_SECONDS


def _load() -> float:
    return os.getloadavg()[0] / (os.cpu_count() or 1)
