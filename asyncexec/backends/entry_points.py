"""The entry points of executors in installed packages, cached until something is installed or removed.

Reading them opens a file of every installed package, which costs more than a small computation. Installing, upgrading
and removing a package each change the time stamp of a directory on ``sys.path``, so the cache is valid as long as those
are the same.
"""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

GROUP = "asyncexec.backends"

type _Stamp = tuple[tuple[str, int], ...]


class EntryPoints:
    """The entry points of a group."""

    def __init__(self, group: str) -> None:
        self._group = group
        self._read: tuple[_Stamp, tuple[EntryPoint, ...]] | None = None

    def all(self) -> tuple[EntryPoint, ...]:
        """Return all entry points of the group; they are read again if a directory of packages has changed."""
        stamp = _stamp()
        if self._read is None or self._read[0] != stamp:
            self._read = stamp, tuple(entry_points(group=self._group))
        return self._read[1]

    def named(self, name: str, *, reread: bool = True) -> tuple[EntryPoint, ...]:
        """Return the entry points of this name; with ``reread``, read them again before returning none.

        This finds a package that was installed without changing a time stamp.
        """
        read_before = self._read
        found = self._of(name)
        if reread and not found and self._read is read_before:
            self._read = None
            found = self._of(name)
        return found

    def _of(self, name: str) -> tuple[EntryPoint, ...]:
        return tuple(point for point in self.all() if point.name == name)


def _stamp() -> _Stamp:
    return tuple((path, _changed_at(path)) for path in sys.path)


def _changed_at(path: str) -> int:
    try:
        return Path(path).stat().st_mtime_ns
    except OSError:
        return 0


BACKENDS = EntryPoints(GROUP)
