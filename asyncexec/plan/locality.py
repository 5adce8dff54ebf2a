"""The distance between the driver and its workers, by which chunks and values are passed in memory, files or bytes."""

from __future__ import annotations

from enum import StrEnum


class Locality(StrEnum):
    """The place of the workers, as seen from the driver.

    >>> from asyncexec.plan.locality import Locality
    >>> Locality.SAME_PROCESS.on_this_host, Locality.SAME_HOST.on_this_host, Locality.ELSEWHERE.on_this_host
    (True, True, False)
    """

    SAME_PROCESS = "same process"
    """Objects are shared: nothing is copied or encoded."""
    SAME_HOST = "same host"
    """Other processes of this machine: they take their memory from it, and see its files."""
    ELSEWHERE = "elsewhere"
    """Other machines, or not known: everything travels as bytes, or through storage that both sides reach."""

    @property
    def on_this_host(self) -> bool:
        """True where workers are on the driver's machine, in its process or in others."""
        return self is not Locality.ELSEWHERE
