"""The changes that a session has not committed, as far as new arrays would contradict them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from asyncexec.errors import StorageError

if TYPE_CHECKING:
    from asyncexec.storage.places.locations import Location


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """The paths that a session has changed; they begin with a slash.

    Attributes
    ----------
    new, deleted, written : collection of str
        The arrays and groups that it has made, removed, and changed in another way.
    """

    new: Collection[str] = frozenset()
    deleted: Collection[str] = frozenset()
    written: Collection[str] = frozenset()

    @classmethod
    def of(cls, session: Any) -> Changes:
        """Return those of ``session``."""
        # Asked first, as the status of a session is a list of all its chunks.
        if not session.has_uncommitted_changes:
            return cls()
        found = session.status()
        return cls(
            new=found.new_arrays | found.new_groups,
            deleted=found.deleted_arrays | found.deleted_groups,
            written=found.updated_arrays | found.updated_groups | set(found.updated_chunks),
        )

    def check_new(self, location: Location, *, replaces: bool = False) -> bool:
        """Return whether a new array at ``location`` replaces one that only the session has.

        Raises
        ------
        StorageError
            If Icechunk could not merge a new array or group with what the session has done there.
        """
        path = f"/{location.url}"
        if path in self.deleted or (replaces and path not in self.new and path in self.written):
            done = "removed" if path in self.deleted else "written to"
            raise StorageError(
                f"{location} was {done} in this Icechunk session, which has not been committed, so that Icechunk could "
                f"not merge a new array there: commit the session first, or discard its changes"
            )
        return replaces and path in self.new
