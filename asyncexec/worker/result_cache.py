"""The cache of a stage's results, by the content of its code and of what it was called with."""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from asyncexec.errors import SerializationError
from asyncexec.events.outcome import CachedResult
from asyncexec.worker.pickling import pickle_value
from asyncexec.worker.placed_values import pieces_of
from asyncexec.worker.value_layout import load_value
from asyncexec.worker.values import PickledValue

if TYPE_CHECKING:
    import pickle
    from collections.abc import Awaitable

    from asyncexec.plan.box import Index
    from asyncexec.plan.stage import Kernel
    from asyncexec.worker.placed_values import BlobStore


@dataclass(frozen=True, slots=True)
class CachedKernel:
    """A kernel that is not called where the cache has the result of an earlier call."""

    kernel: Kernel
    cache: ResultCache

    def __call__(self, index: Index, *inputs: Any) -> Any:
        return self.cache.call(self.kernel, index, inputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultCache:
    """The results of one stage's earlier calls; it travels with the stage's program.

    Attributes
    ----------
    blobs : BlobStore
    stage : str
        For messages.
    code : str
        The hash of the kernel.
    takes_index : bool
        Whether the kernel depends on the task's index, besides its inputs.
    awaits : bool
        Whether the kernel is known to return a coroutine.
    """

    blobs: BlobStore
    stage: str
    code: str
    takes_index: bool
    awaits: bool = False

    def call(self, kernel: Kernel, index: Index, inputs: tuple[Any, ...]) -> Any:
        """Return the result of an earlier call, as a ``CachedResult``, or call the kernel and keep what it returns."""
        if self.awaits:
            return self._call_later(kernel, index, inputs)
        key, found = self._look_up(index, inputs)
        if found is not None:
            return found
        result = kernel(index, *inputs)
        if inspect.isawaitable(result):
            return self._kept_later(key, result)
        self._keep(key, result)
        return result

    async def _call_later(self, kernel: Kernel, index: Index, inputs: tuple[Any, ...]) -> Any:
        # In threads: others run on this event loop.
        key, found = await asyncio.to_thread(self._look_up, index, inputs)
        return await self._kept_later(key, kernel(index, *inputs)) if found is None else found

    async def _kept_later(self, key: str, result: Awaitable[Any]) -> Any:
        value = await result
        await asyncio.to_thread(self._keep, key, value)
        return value

    def _look_up(self, index: Index, inputs: tuple[Any, ...]) -> tuple[str, CachedResult | None]:
        key = self._key(index, inputs)
        found = self.blobs.get(key)
        if found is None:
            return key, None
        self.blobs.mark_used(key)
        return key, CachedResult(load_value(found))

    def _keep(self, key: str, value: Any) -> None:
        beside: list[pickle.PickleBuffer] = []
        data = pickle_value(value, beside)
        pickled = PickledValue(data, [buffer.raw() for buffer in beside])
        self.blobs.put(key, pieces_of(pickled))

    def _key(self, index: Index, inputs: tuple[Any, ...]) -> str:
        from asyncexec.plan.fingerprint.digest import Digest

        parts = []
        for number, value in enumerate(inputs):
            try:
                parts.append(Digest(strict=True).of(value))
            except SerializationError as error:
                raise SerializationError(
                    f"stage {self.stage!r} is cached by its inputs, and input {number} (a {type(value).__qualname__}) "
                    f"has no content that could be compared: {error}. Pass what it is made from instead, or leave out "
                    f"cache='inputs'"
                ) from error
        name = Digest().of((self.code, index if self.takes_index else (), parts)).hex()
        return f"{name[:2]}/{name[2:]}"
