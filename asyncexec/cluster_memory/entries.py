"""The entries of a memory: what is stored under which key, until when, and what has to leave memory; no IO."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from itertools import count
from typing import Any

from asyncexec.errors import ClusterMemoryError

type Names = tuple[str, str, str]
"""Space, namespace and key."""


class Entry:
    """One value under its key.

    Attributes
    ----------
    names : tuple of str
        Its space, namespace and key.
    stored : object
        The value as its owner keeps it, which is not looked into here.
    nbytes : int
    in_memory : bool
        Whether it counts as memory.
    expires_at : float or None
        By the owner's clock.
    """

    __slots__ = ("expires_at", "in_memory", "names", "nbytes", "stored")

    def __init__(
        self, names: Names, stored: Any, nbytes: int, *, in_memory: bool, expires_at: float | None
    ) -> None:
        self.names = names
        self.stored = stored
        self.nbytes = nbytes
        self.in_memory = in_memory
        self.expires_at = expires_at


class EntryTable:
    """Entries by space, namespace and key. A space belongs to one run, or to the engine.

    Every method that removes entries returns them, since what they hold is for the owner to delete.

    Parameters
    ----------
    quota : int or None
        The bytes that all spaces may have in memory together.
    """

    def __init__(self, quota: int | None = None) -> None:
        self._quota = quota
        self._spaces: dict[str, dict[str, dict[str, Entry]]] = {}
        self._by_age: OrderedDict[Entry, None] = OrderedDict()
        self._expiring: list[tuple[float, int, Entry]] = []
        self._numbers = count()
        self.memory_bytes = 0

    def open(self, space: str) -> None:
        """Open a space."""
        self._spaces.setdefault(space, {})

    def close(self, space: str) -> list[Entry]:
        """Remove a space with all that is in it; from now on nothing is put there any more."""
        removed = [
            entry for entries in self._spaces.pop(space, {}).values() for entry in entries.values()
        ]
        for entry in removed:
            self._forget(entry)
        return removed

    def put(self, entry: Entry) -> list[Entry]:
        """Add an entry, the youngest now; return the one that had its names before.

        Raises
        ------
        ClusterMemoryError
            If its space is closed.
        """
        space, namespace, key = entry.names
        entries = self._space(space).setdefault(namespace, {})
        replaced = entries.pop(key, None)
        if replaced is not None:
            self._forget(replaced)
        entries[key] = entry
        if entry.in_memory:
            self.memory_bytes += entry.nbytes
            self._by_age[entry] = None
        if entry.expires_at is not None:
            # The number decides between equal times: entries have no order.
            heapq.heappush(self._expiring, (entry.expires_at, next(self._numbers), entry))
        return [] if replaced is None else [replaced]

    def get(self, space: str, namespace: str, key: str, now: float) -> Entry | None:
        """Return the entry of these names, if there is one that has not expired."""
        entry = self._space(space).get(namespace, {}).get(key)
        return None if entry is None or _is_expired(entry, now) else entry

    def holds(self, entry: Entry) -> bool:
        """Return whether the entry is still there."""
        space, namespace, key = entry.names
        return self._spaces.get(space, {}).get(namespace, {}).get(key) is entry

    def keys(self, space: str, namespace: str, now: float) -> list[str]:
        """Return the keys of a namespace, in the order in which they were put there."""
        entries = self._space(space).get(namespace, {})
        return [key for key, entry in entries.items() if not _is_expired(entry, now)]

    def remove(self, entry: Entry) -> None:
        """Remove an entry that is there."""
        space, namespace, key = entry.names
        entries = self._spaces[space][namespace]
        del entries[key]
        if not entries:
            # Namespaces may be many and short-lived, such as one for each task.
            del self._spaces[space][namespace]
        self._forget(entry)

    def clear(self, space: str, namespace: str) -> list[Entry]:
        """Remove all entries of a namespace."""
        removed = list(self._space(space).pop(namespace, {}).values())
        for entry in removed:
            self._forget(entry)
        return removed

    def expire(self, now: float) -> list[Entry]:
        """Remove what has expired."""
        removed: list[Entry] = []
        while self._expiring and self._expiring[0][0] <= now:
            _, _, entry = heapq.heappop(self._expiring)
            # Replaced and deleted ones are left on the heap, where finding them would cost more than this.
            if self.holds(entry):
                self.remove(entry)
                removed.append(entry)
        return removed

    def exceed(self) -> list[Entry]:
        """Return the oldest entries that have to leave memory for the quota; they no longer count as memory."""
        leaving: list[Entry] = []
        while self._quota is not None and self.memory_bytes > self._quota:
            entry, _ = self._by_age.popitem(last=False)
            entry.in_memory = False
            self.memory_bytes -= entry.nbytes
            leaving.append(entry)
        return leaving

    def stay(self, entry: Entry) -> None:
        """Count an entry as memory again, the oldest, since it could not leave."""
        if self.holds(entry):
            entry.in_memory = True
            self.memory_bytes += entry.nbytes
            self._by_age[entry] = None
            self._by_age.move_to_end(entry, last=False)

    def _space(self, space: str) -> dict[str, dict[str, Entry]]:
        found = self._spaces.get(space)
        if found is None:
            raise memory_closed()
        return found

    def _forget(self, entry: Entry) -> None:
        if entry.in_memory:
            self.memory_bytes -= entry.nbytes
            del self._by_age[entry]


def memory_closed() -> ClusterMemoryError:
    """Return the error for a memory whose run has ended."""
    return ClusterMemoryError(
        "this cluster memory is closed: its run has ended (cluster_memory={'lifetime': 'engine'} makes one that lives "
        "as long as the engine)"
    )


def _is_expired(entry: Entry, now: float) -> bool:
    return entry.expires_at is not None and entry.expires_at <= now
