"""Places of targets that are held against other drivers, from before anything is made there until the run has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncexec.errors import AsyncexecError, TargetExistsError
from asyncexec.storage.places.errors import storage_error
from asyncexec.storage.places.folder_locks import hold_folder
from asyncexec.storage.places.holds import TARGET_LEASE
from asyncexec.storage.places.objects import objects_at
from asyncexec.storage.workspace.leases import Lease, LeaseTakenError

if TYPE_CHECKING:
    from asyncexec.storage.places.locations import Location
    from asyncexec.storage.workspace.leases import Hold


class Unheld:
    """A place that only this process can reach, where claims are enough."""

    def close(self) -> None:
        """Return, as nothing is held."""


def hold_target(location: Location, run: str, holds: list[tuple[Location, Hold]]) -> None:
    """Hold ``location`` for the target of ``run``, and add that to ``holds``; on a disk, its folder is there then.

    It is added before anything else can go wrong, so that whoever releases them releases it.

    Raises
    ------
    TargetExistsError
        If another run holds it.
    StorageError
        If the place cannot be written.
    """
    if location.process_bound:
        holds.append((location, Unheld()))
        return
    path = location.local_path
    try:
        if path is None:
            objects = objects_at(location)
            # It goes when the run ends: what stays at the place is the array alone.
            holds.append((location, Lease(objects, name=TARGET_LEASE, run=run, stays=False)))
            return
        held = hold_folder(path)
    except LeaseTakenError as error:
        raise TargetExistsError(
            f"{location} is being written by {error.holder}. Wait for that run, or store elsewhere"
        ) from None
    except AsyncexecError:
        raise
    except Exception as error:  # noqa: BLE001 - as the store puts it
        raise storage_error(error, location, "cannot be made") from None
    if held is None:
        raise TargetExistsError(
            f"{location} is being written by another run of this machine, which has it locked. Wait for that run, or "
            f"store elsewhere"
        )
    holds.append((location, held))
