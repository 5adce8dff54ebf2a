"""Writing chunks of a run to an object store, so that what another run writes too late does no harm.

A chunk is created where there is none, with its run's generation as an attribute: one request. Where there is one
already, it is looked at. A late attempt of another run can thus write only where nothing is yet, and the run whose
array it is replaces that, as it was seen. In stores that know no such conditions, or no attributes, a chunk is looked
for first, and the stamp on the array says whose one is that is there.

Where a run writes over a part of an array that was there before, chunks are looked at first, and replaced as they were
seen as long as the run holds the place.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from obstore.exceptions import AlreadyExistsError, PreconditionError

from asyncexec.storage.chunks.generations import (
    Verdict,
    is_own,
    owns,
    run_of,
    stamp_by,
    verdict,
)
from asyncexec.storage.places.errors import replaced
from asyncexec.storage.places.holds import HeldPlace
from asyncexec.storage.places.obstore_objects import (
    forget_conditions,
    is_unconditional,
    keeps_attributes,
)

if TYPE_CHECKING:
    from asyncexec.storage.chunks.arrays import StoredArray
    from asyncexec.storage.chunks.object_requests import FetchedChunk, Requests
    from asyncexec.storage.places.stamps import Stamp

_log = logging.getLogger(__name__)

_TRIES = 8
"""How often a chunk that changes all the time is looked at before it is given up."""


class ObjectWrites:
    """The writing of the chunks of ``ref``, which is at ``path`` in ``client``, a store of obstore's."""

    def __init__(self, ref: StoredArray, client: Any, path: str) -> None:
        self._location = ref.location
        self._generation = ref.generation
        # Nobody but this plan writes to the arrays of a run's own directory, whose chunks have checksums.
        self._is_private = ref.checksum
        self._held = HeldPlace(ref.location, run_of(ref.generation)) if ref.in_place else None
        self._client = client
        self._prefix = f"{path}/" if path else ""

    async def put(self, requests: Requests, key: str, data: Any) -> None:
        """Write the chunk with this key, whole or not at all.

        Raises
        ------
        TargetReplacedError
            If the array is another run's by now.
        Exception
            As the store has it.
        """
        if not self._generation:
            await requests.put(key, data)
            return
        if keeps_attributes(self._client):
            try:
                await (self._put_as_own if self._held is None else self._put_over)(
                    requests, key, data
                )
            except Exception as error:
                if not is_unconditional(error):
                    raise
                forget_conditions(self._client)
            else:
                return
        await self._put_looking_first(requests, key, data)

    async def _put_as_own(self, requests: Requests, key: str, data: Any) -> None:
        mode = "create"
        for _ in range(_TRIES):
            try:
                await requests.put(key, data, mode=mode, generation=self._generation)
            except (AlreadyExistsError, PreconditionError):
                found = await self._found(requests, key)
            except FileNotFoundError:
                if mode == "create":  # Of a bucket that is not there.
                    raise
                found = None
            else:
                return
            if found is None:
                mode = "create"
                continue
            # Another attempt of the same task has written the same: nothing is sent twice.
            if await self._is_done(requests, found, data):
                return
            # Replaced only as it was seen: whoever writes in between is looked at again.
            mode = found.version
        raise replaced(self._location)

    async def _put_over(self, requests: Requests, key: str, data: Any) -> None:
        """Write the chunk over what is there, which may be of before the run, as long as the run holds the place."""
        for _ in range(_TRIES):
            found = await self._looked(requests, key)
            if found is not None:
                # One without a generation is of before all runs that could hold the place now.
                await self._check_held(requests, now=bool(found.generation))
            mode = "create" if found is None else found.version
            try:
                await requests.put(key, data, mode=mode, generation=self._generation)
            except (AlreadyExistsError, PreconditionError):
                continue
            except FileNotFoundError:
                if found is None:  # Of a bucket that is not there.
                    raise
                continue
            return
        raise replaced(self._location)

    async def _put_looking_first(self, requests: Requests, key: str, data: Any) -> None:
        """Write the chunk to a store that can neither refuse nor say whose one is that is there."""
        if self._held is not None:
            await self._check_held(requests)
        # Where nothing is there yet, a late write does no harm: its run's chunk comes over it.
        elif not self._is_private and await self._found(requests, key) is not None:
            stamp = await self._stamp(requests)
            if not owns(stamp, self._generation):
                raise replaced(self._location)
        await requests.put(key, data)

    async def _check_held(self, requests: Requests, *, now: bool = True) -> None:
        if self._held is not None:
            await self._held.check(lambda name: self._document(requests, name), now=now)

    async def _looked(self, requests: Requests, key: str) -> FetchedChunk | None:
        try:
            return await requests.look(key)
        except FileNotFoundError:
            return None

    async def _found(self, requests: Requests, key: str) -> FetchedChunk | None:
        try:
            return await requests.get(key)
        except FileNotFoundError:
            return None

    async def _is_done(self, requests: Requests, found: FetchedChunk, data: Any) -> bool:
        """Return whether the chunk that was ``found`` is as good as ``data``; else it is to be replaced.

        Raises
        ------
        TargetReplacedError
            If it is in the array of another run.
        """
        fate = Verdict.OWN
        if not self._is_private and not is_own(found.generation, self._generation):
            fate = verdict(found.generation, self._generation, await self._stamp(requests))
        if fate is Verdict.LOST:
            raise replaced(self._location)
        if fate is Verdict.LATE:
            _log.info("a chunk of %s that another run had written is replaced", self._location)
            return False
        # One that was damaged since is made again.
        return bytes(found.data) == bytes(data)

    async def _stamp(self, requests: Requests) -> Stamp | None:
        return await stamp_by(lambda name: self._document(requests, name), self._generation)

    async def _document(self, requests: Requests, name: str) -> bytes | None:
        found = await self._found(requests, f"{self._prefix}{name}")
        return None if found is None else bytes(found.data)
