"""Requests for chunks to a store of obstore's, in two forms: by calls that block, and by awaited ones.

Both are coroutine functions, so that what is made of them is written once. Those of :class:`BlockingRequests` never
wait for an event loop: :func:`run_blocking` runs them where they are called.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Coroutine, Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol

from obstore.exceptions import NotSupportedError, PreconditionError

from asyncexec.request_failures.reading import failure_of
from asyncexec.storage.chunks.hedging import HedgeRule, hedged, rule_for
from asyncexec.storage.chunks.part_requests import ObjectChangedError, PartRefusedError
from asyncexec.storage.places import object_client
from asyncexec.storage.places.object_records import GENERATION
from asyncexec.storage.places.obstore_objects import version_of
from asyncexec.storage.places.store_clients import endpoint_of_client, fresh_client

SINGLE_PUT_BYTES = 64 * 2**20
"""Up to this size an object is written by one request."""


class FetchedChunk:
    """A chunk as it is stored; what obstore says of it besides is read when it is asked for, as few need that."""

    __slots__ = ("_answer", "data")

    def __init__(self, answer: Any, data: Any) -> None:
        self._answer = answer
        self.data = memoryview(data)

    @property
    def version(self) -> str:
        """The version of the object."""
        return version_of(self._answer.meta)

    @property
    def generation(self) -> str:
        """The generation that it was written by; empty if none is known."""
        return str(self._answer.attributes.get(GENERATION, ""))


class Requests(Protocol):
    """The requests that chunks need."""

    async def get(self, key: str) -> FetchedChunk:
        """Return the object; raise FileNotFoundError where there is none."""
        ...

    async def look(self, key: str) -> FetchedChunk:
        """Return the object without its data; raise FileNotFoundError where there is none."""
        ...

    async def put(self, key: str, data: Any, *, mode: str = "", generation: str = "") -> None:
        """Write the object: if there is none (``mode="create"``), if it has a version (``mode``), or in any case."""
        ...


class BlockingRequests:
    """Requests that block the calling thread; their times are taken in by ``rule``."""

    def __init__(self, client: Any, rule: HedgeRule | None = None) -> None:
        self._client = client
        self._rule = rule

    async def get(self, key: str) -> FetchedChunk:
        """Return the object; raise FileNotFoundError where there is none."""
        if self._rule is None:
            return FetchedChunk(*object_client.get(self._client, key))
        # Times of calls that block count as well, so that awaited ones know sooner what is slow.
        self._rule.begin()
        began = time.monotonic()
        found = FetchedChunk(*object_client.get(self._client, key))
        self._rule.end(time.monotonic() - began)
        return found

    async def look(self, key: str) -> FetchedChunk:
        """Return the object without its data; raise FileNotFoundError where there is none."""
        return FetchedChunk(object_client.look(self._client, key), b"")

    async def part(self, key: str, part: slice, version: str = "") -> FetchedChunk:
        """Return a part of the object; see :class:`.part_requests.PartRequests`."""
        try:
            return FetchedChunk(*object_client.get(self._client, key, part_options(part, version)))
        except NotSupportedError as error:
            if part.stop is not None:
                raise PartRefusedError(str(error)) from error
            size = object_client.look(self._client, key).meta["size"]
        except Exception as error:
            raise _of_part(error) from error
        return await self.part(key, _behind(part, size), version)

    async def parts(self, key: str, parts: Sequence[slice], version: str = "") -> list[Any]:
        """Return the bytes of several parts of the object, one after another."""
        return [(await self.part(key, part, version)).data for part in parts]

    async def put(self, key: str, data: Any, *, mode: str = "", generation: str = "") -> None:
        """Write the object; see :class:`Requests`."""
        object_client.put(self._client, key, data, **_options(data, mode, generation))


class AwaitedRequests:
    """Requests that are awaited on the running event loop; slow reads of ``nbytes`` are asked again.

    What is on this machine is asked once.
    """

    def __init__(self, client: Any, nbytes: int = 0) -> None:
        self._client = client
        self._remote = hasattr(client, "config") and nbytes > 0
        self.rule = self._rule_for(nbytes) if self._remote else None

    async def get(self, key: str) -> FetchedChunk:
        """Return the object; raise FileNotFoundError where there is none."""
        return FetchedChunk(*await self._got(key, None, self.rule))

    async def look(self, key: str) -> FetchedChunk:
        """Return the object without its data; raise FileNotFoundError where there is none."""
        return FetchedChunk(await object_client.alook(self._client, key), b"")

    async def part(self, key: str, part: slice, version: str = "") -> FetchedChunk:
        """Return a part of the object; see :class:`.part_requests.PartRequests`."""
        nbytes = -part.start if part.stop is None else part.stop - part.start
        rule = self._rule_for(nbytes) if self._remote else None
        try:
            return FetchedChunk(*await self._got(key, part_options(part, version), rule))
        except NotSupportedError as error:
            if part.stop is not None:
                raise PartRefusedError(str(error)) from error
            size = (await object_client.alook(self._client, key)).meta["size"]
        except Exception as error:
            raise _of_part(error) from error
        return await self.part(key, _behind(part, size), version)

    async def parts(self, key: str, parts: Sequence[slice], version: str = "") -> list[Any]:
        """Return the bytes of several parts of the object, asked for at the same time."""
        if len(parts) == 1:
            return [(await self.part(key, parts[0], version)).data]
        found = await asyncio.gather(*[self.part(key, part, version) for part in parts])
        return [part.data for part in found]

    async def put(self, key: str, data: Any, *, mode: str = "", generation: str = "") -> None:
        """Write the object; see :class:`Requests`."""
        await object_client.aput(self._client, key, data, **_options(data, mode, generation))

    def _got(
        self, key: str, options: Mapping[str, Any] | None, rule: HedgeRule | None
    ) -> Coroutine[Any, Any, tuple[Any, Any]]:
        if rule is None:
            return object_client.aget(self._client, key, options)
        return hedged(
            lambda: object_client.aget(self._client, key, options),
            lambda: object_client.aget(self._other, key, options),
            rule,
        )

    def _rule_for(self, nbytes: int) -> HedgeRule:
        return rule_for(self._endpoint, nbytes.bit_length())

    @cached_property
    def _endpoint(self) -> str:
        return endpoint_of_client(self._client)

    @cached_property
    def _other(self) -> Any:
        return fresh_client(self._client)


def run_blocking[T](coroutine: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine returns that awaits nothing but :class:`BlockingRequests`."""
    try:
        # Nothing in it waits, so that it runs to its end in one step, without an event loop.
        coroutine.send(None)
    except StopIteration as end:
        found: T = end.value
        return found
    coroutine.close()
    raise RuntimeError("a request that blocks has waited for an event loop")


def part_options(part: slice, version: str) -> dict[str, Any]:
    """Return obstore's options for a part of an object that has this version, as far as it says which that is."""
    wanted = {"suffix": -part.start} if part.stop is None else (part.start, part.stop)
    options: dict[str, Any] = {"range": wanted}
    tag = json.loads(version).get("e_tag") if version else None
    # A weak one says that what is there means the same, and no server takes it for a condition.
    if tag and not tag.startswith("W/"):
        options["if_match"] = tag
    return options


def _behind(part: slice, size: int) -> slice:
    """Return the part at the end of an object of this size, for services (Azure) that know no such parts."""
    return slice(max(0, size + part.start), size)


def _of_part(error: Exception) -> Exception:
    """Return ``error``, which a request for a part of an object has raised, as what is decided by."""
    if isinstance(error, PreconditionError):
        return ObjectChangedError(str(error))
    if isinstance(error, FileNotFoundError):
        return error
    failure = failure_of(error)
    if failure is None or failure.status in _REFUSALS:
        return PartRefusedError(str(error))
    return error


_REFUSALS = (416, 501)
"""The answers of servers that have no such part, or give no parts."""


def _options(data: Any, mode: str, generation: str) -> Mapping[str, Any]:
    options: dict[str, Any] = {}
    if mode:
        options["mode"] = mode if mode == "create" else json.loads(mode)
    if generation:
        options["attributes"] = {GENERATION: generation}
    if len(data) <= SINGLE_PUT_BYTES:
        # One request, which alone can have a condition.
        options["use_multipart"] = False
    return options
