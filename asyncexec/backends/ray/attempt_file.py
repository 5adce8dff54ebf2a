"""A small file with the attempt that a worker runs, for the driver to read after the worker's sudden death.

It is written with one system call, and the operating system keeps it however the process ends. It is used only if
workers share a file system with the driver, which is so where Ray runs on the driver's machine.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import struct
from pathlib import Path

from asyncexec.backends.contract import Started
from asyncexec.events.outcome import Outcome
from asyncexec.storage.places.locked_directory import LockedDirectory
from asyncexec.worker.run_scope import process_here

_ROW = struct.Struct("<qq")
NO_ATTEMPT = -1


class AttemptFile:
    """The worker's side, a report sink; does nothing without a file."""

    def __init__(self, file: int | None) -> None:
        self._file = file
        self._pid = os.getpid()

    @classmethod
    def create(cls, path: str | None) -> AttemptFile:
        """Open the file; without it if it cannot be opened."""
        if path is None:
            return cls(None)
        try:
            return cls(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
        except OSError:
            return cls(None)

    def started(self, attempt: int) -> None:
        """Write that this attempt runs."""
        if self._file is not None:
            os.pwrite(self._file, _ROW.pack(attempt, self._pid), 0)

    def ended(self, outcome: Outcome) -> None:
        """Write that no attempt runs."""
        self.started(NO_ATTEMPT)

    def __del__(self) -> None:
        if self._file is not None:
            os.close(self._file)


def read_attempt(path: str | None) -> tuple[int, int] | None:
    """Return the attempt that a call's worker runs, or ``NO_ATTEMPT``, and its process.

    None if it has started nothing, or without a path.
    """
    if path is None:
        return None
    try:
        attempt, process = _ROW.unpack(Path(path).read_bytes())
    except (OSError, struct.error):
        return None
    return attempt, process


class AttemptFiles:
    """The driver's side: one file for each call, where workers are on this machine."""

    def __init__(self) -> None:
        self._directory: LockedDirectory | None = None
        self._numbers = itertools.count()

    def open(self, *, here: bool) -> None:
        """Make the directory of the files, if every worker is on this machine (``here``)."""
        self._directory = LockedDirectory.make() if here else None

    def close(self) -> None:
        """Remove all files."""
        directory, self._directory = self._directory, None
        if directory is not None:
            directory.remove()

    def path(self) -> str | None:
        """Return the path for one call; None without a directory."""
        if self._directory is None:
            return None
        return str(self._directory.path / f"call-{next(self._numbers)}")

    def running(self, path: str | None) -> Started | None:
        """Return the start of the attempt that ran last, if it has not ended."""
        attempt, process = read_attempt(path) or (NO_ATTEMPT, 0)
        return None if attempt == NO_ATTEMPT else Started(attempt, process_here(process))

    def remove(self, path: str | None) -> None:
        """Remove the file of a call that has ended."""
        if path is not None:
            with contextlib.suppress(OSError):
                Path(path).unlink()
