"""Places of targets that are held against other drivers, from before anything is made there until the run has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncexec.errors import TargetExistsError
from asyncexec.storage.places.errors import storage_error
from asyncexec.storage.places.folder_locks import hold_folder

if TYPE_CHECKING:
    from asyncexec.storage.places.locations import Location
    from asyncexec.storage.workspace.leases import Hold


class Unheld:
    """A place that only this process can reach, where claims are enough."""

    def close(self) -> None:
        """Return, as nothing is held."""


def hold_target(location: Location) -> Hold:
    """Hold ``location`` for this run's target; on a disk, its folder is there then.

    Raises
    ------
    TargetExistsError
        If another run holds it.
    StorageError
        If the place cannot be written.
    """
    path = location.local_path
    if path is None:
        return Unheld()
    try:
        held = hold_folder(path)
    except OSError as error:
        raise storage_error(error, location, "cannot be made") from None
    if held is None:
        raise TargetExistsError(
            f"{location} is being written by another run of this machine, which has it locked. Wait for that run, or "
            f"store elsewhere"
        )
    return held
