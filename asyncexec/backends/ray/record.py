"""Which attempt a worker is at, in a small file: what a worker that died at once could not tell any more.

Written with one system call, and kept by the system when the process ends in any way. Only for workers that share a
file system with the driver, which is the case where Ray runs on the driver's machine.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import platform
import shutil
import struct
import tempfile
from pathlib import Path

from asyncexec.backends.contract import Started
from asyncexec.events.outcome import Outcome

_ROW = struct.Struct("<qq")
NOBODY = -1


class Record:
    """The worker's side; does nothing without a file."""

    def __init__(self, file: int | None) -> None:
        self._file = file
        self._pid = os.getpid()

    @classmethod
    def create(cls, path: str | None) -> Record:
        """Open the file; what cannot be written is done without."""
        if path is None:
            return cls(None)
        try:
            return cls(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
        except OSError:
            return cls(None)

    def started(self, attempt: int) -> None:
        """Note that an attempt runs from now on."""
        if self._file is not None:
            os.pwrite(self._file, _ROW.pack(attempt, self._pid), 0)

    def ended(self, outcome: Outcome) -> None:
        """Note that nothing runs."""
        self.started(NOBODY)

    def __del__(self) -> None:
        if self._file is not None:
            os.close(self._file)


def last(path: str | None) -> tuple[int, int] | None:
    """Return the attempt that a call's worker is at, or ``NOBODY``, and its process; None if it has begun nothing.

    Nor is anything known without a path.
    """
    if path is None:
        return None
    try:
        attempt, process = _ROW.unpack(Path(path).read_bytes())
    except (OSError, struct.error):
        return None
    return attempt, process


class Records:
    """The driver's side: one file a call, where workers are on this machine."""

    def __init__(self) -> None:
        self._directory: Path | None = None
        self._numbers = itertools.count()

    def open(self, *, here: bool) -> None:
        """Make ready; ``here`` says whether every worker is on this machine."""
        self._directory = Path(tempfile.mkdtemp(prefix="ax-ray-records-")) if here else None

    def close(self) -> None:
        """Remove them all."""
        directory, self._directory = self._directory, None
        if directory is not None:
            shutil.rmtree(directory, ignore_errors=True)

    def path(self) -> str | None:
        """Return a path for one call."""
        if self._directory is None:
            return None
        return str(self._directory / f"call-{next(self._numbers)}")

    def running(self, path: str | None) -> Started | None:
        """Return the attempt that ran last, if it has not ended."""
        attempt, process = last(path) or (NOBODY, 0)
        return None if attempt == NOBODY else Started(attempt, f"{platform.node()}:{process}")

    def forget(self, path: str | None) -> None:
        """Remove the file of a call that is over."""
        if path is not None:
            with contextlib.suppress(OSError):
                Path(path).unlink()
