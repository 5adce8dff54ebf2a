"""The entry points by which installed packages bring executors, kept until something is installed or removed.

Reading them opens a file of every installed package, which costs more than a small computation. Installing, upgrading
and removing a package each change the time stamp of a directory on ``sys.path``, so what was read counts for as long as
those are the same.
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
        """Return all of the group; they are read again where a directory of packages has changed."""
        stamp = _stamp()
        if self._read is None or self._read[0] != stamp:
            self._read = stamp, tuple(entry_points(group=self._group))
        return self._read[1]

    def named(self, name: str, *, insist: bool = True) -> tuple[EntryPoint, ...]:
        """Return those of that name; to ``insist`` is to read them again before none is returned.

        So one is found that was installed where no time stamp tells of it.
        """
        read_before = self._read
        found = self._of(name)
        if insist and not found and self._read is read_before:
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
