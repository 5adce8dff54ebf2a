"""Requests for chunks to a store of obstore's, in two forms: by calls that block, and by awaited ones.

Both are coroutine functions, so that what is made of them is written once. Those of :class:`BlockingRequests` never
wait for an event loop: :func:`run_blocking` runs them where they are called.
"""

from __future__ import annotations

import json
import time
from collections.abc import Coroutine, Mapping
from functools import cached_property
from typing import Any, NamedTuple, Protocol

from asyncexec.storage.chunks.hedging import HedgeRule, hedged, rule_for
from asyncexec.storage.places import object_client
from asyncexec.storage.places.object_records import GENERATION
from asyncexec.storage.places.obstore_objects import version_of
from asyncexec.storage.places.store_clients import endpoint_of_client, fresh_client

SINGLE_PUT_BYTES = 64 * 2**20
"""Up to this size an object is written by one request."""


class FetchedChunk(NamedTuple):
    """A chunk as it is stored, with its version and the generation that it was written by (empty if none is known)."""

    data: Any
    version: str
    generation: str


class Requests(Protocol):
    """The requests that chunks need."""

    async def get(self, key: str) -> FetchedChunk:
        """Return the object; raise FileNotFoundError where there is none."""
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
            return _fetched(*object_client.get(self._client, key))
        self._rule.begin()
        began = time.monotonic()
        found = _fetched(*object_client.get(self._client, key))
        self._rule.end(time.monotonic() - began)
        return found

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
        self.rule = (
            rule_for(endpoint_of_client(client), nbytes.bit_length()) if self._remote else None
        )

    async def get(self, key: str) -> FetchedChunk:
        """Return the object; raise FileNotFoundError where there is none."""
        if self.rule is None:
            return _fetched(*await object_client.aget(self._client, key))
        answer, data = await hedged(
            lambda: object_client.aget(self._client, key),
            lambda: object_client.aget(self._other, key),
            self.rule,
        )
        return _fetched(answer, data)

    @cached_property
    def _other(self) -> Any:
        return fresh_client(self._client)

    async def put(self, key: str, data: Any, *, mode: str = "", generation: str = "") -> None:
        """Write the object; see :class:`Requests`."""
        await object_client.aput(self._client, key, data, **_options(data, mode, generation))


def run_blocking[T](coroutine: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine returns that awaits nothing but :class:`BlockingRequests`."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        found: T = end.value
        return found
    coroutine.close()
    raise RuntimeError("a request that blocks has waited for an event loop")


def _fetched(answer: Any, data: Any) -> FetchedChunk:
    written_by = answer.attributes.get(GENERATION, "")
    return FetchedChunk(memoryview(data), version_of(answer.meta), str(written_by))


def _options(data: Any, mode: str, generation: str) -> Mapping[str, Any]:
    options: dict[str, Any] = {}
    if mode:
        options["mode"] = mode if mode == "create" else json.loads(mode)
    if generation:
        options["attributes"] = {GENERATION: generation}
    if len(data) <= SINGLE_PUT_BYTES:
        options["use_multipart"] = False
    return options
