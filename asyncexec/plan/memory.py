"""Memory arithmetic: sizes as people write them, and the projected memory of tasks."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real

from asyncexec.errors import OptionError

# By unit in capitals, because people write "gb" and "Mib".
_FACTORS = {"": 1, "B": 1} | {
    prefix + unit: base**power
    for power, prefix in enumerate("KMGTP", start=1)
    for unit, base in (("", 1000), ("B", 1000), ("IB", 1024))
}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*")


def parse_bytes(size: float | str, *, what: str = "size") -> int:
    """Return ``size`` in bytes.

    Parameters
    ----------
    size : int, float or str
        A number of bytes, or text such as ``"2GB"`` (10^9), ``"512 MiB"`` (2^20) or ``"0.5 T"``.
    what : str
        What it is the size of, for the message.

    Raises
    ------
    OptionError
        If it is not a size, or negative.
    """
    if isinstance(size, str):
        match = _SIZE.fullmatch(size)
        factor = _FACTORS.get(match[2].upper()) if match else None
        if match is None or factor is None:
            raise OptionError(
                f"{what}={size!r} is not a size: "
                f"write a number of bytes, or text such as '2GB' or '512MiB'"
            )
        return int(Decimal(match[1]) * factor)
    if not isinstance(size, Real) or isinstance(size, bool) or not 0 <= size < math.inf:
        raise OptionError(f"{what}={size!r} is not a size in bytes")
    return int(size)


def rounded_down(size: int) -> int:
    """Return the largest size up to ``size`` that :func:`format_bytes` shows as it is.

    >>> from asyncexec.plan.memory import format_bytes, rounded_down
    >>> format_bytes(1_190_000), format_bytes(rounded_down(1_190_000))
    ('1.2 MB', '1.1 MB')
    """
    step: int = max(1, 1000 ** ((len(str(size)) - 1) // 3) // 10)
    return size - size % step


def format_bytes(size: float) -> str:
    """Return ``size`` in bytes as text (``"1.5 GB"``; powers of 1000)."""
    if abs(size) < 1000:
        return f"{size:.0f} B"
    for unit in ("kB", "MB", "GB", "TB"):
        size /= 1000
        # What would be rounded to 1000.0 goes to the next unit.
        if abs(size) < 999.95 or unit == "TB":
            break
    return f"{size:.1f} {unit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """The memory that one task of a stage is projected to need, and is allowed; all in bytes.

    Attributes
    ----------
    projected_bytes
        The most a task's process is projected to hold, ``reserved_bytes`` included.
    reserved_bytes
        What a worker holds before any data: the interpreter and its libraries.
    allowed_bytes
        What a worker may hold; None where no limit is known.
    chunk_bytes
        The largest chunk among inputs and outputs, to say which chunk size would fit.
    edge_bytes
        What a task would need in addition, if chunks did not divide the array (one at its edge is copied), or did not
        begin where tasks begin to read.
    """

    projected_bytes: int = 0
    reserved_bytes: int = 0
    allowed_bytes: int | None = None
    chunk_bytes: int = 0
    edge_bytes: int = 0

    @property
    def fits(self) -> bool:
        """True if the projection is within what is allowed."""
        return self.allowed_bytes is None or self.projected_bytes <= self.allowed_bytes

    @property
    def fitting_share(self) -> float:
        """The chunk size that would fit as a part of what it is, if needs grow in proportion with the chunk."""
        free, needs = self._free_and_needs
        return free / needs

    @property
    def fitting_chunk_bytes(self) -> int:
        """The chunk size that would fit, if needs grow in proportion with the chunk; 0 where none would."""
        free, needs = self._free_and_needs
        return self.chunk_bytes * free // needs

    @property
    def _free_and_needs(self) -> tuple[int, int]:
        """Bytes that data may take, and what it takes with the edges of other chunks; 1 and 1 without a limit."""
        needs = self.projected_bytes - self.reserved_bytes + self.edge_bytes
        if self.allowed_bytes is None or needs <= 0:
            return 1, 1
        return max(0, self.allowed_bytes - self.reserved_bytes), needs

    def at_once(self, limit: int) -> int | None:
        """Return how many tasks of one process fit in ``limit`` bytes together; None where nobody said what they need.

        >>> from asyncexec.plan.memory import Memory
        >>> Memory(projected_bytes=300, reserved_bytes=100).at_once(900)
        4
        """
        data = self.projected_bytes - self.reserved_bytes
        return None if data <= 0 else (limit - self.reserved_bytes) // data
