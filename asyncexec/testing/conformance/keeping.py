"""Values that stay near the workers, on backends that keep any."""

from __future__ import annotations

import anyio.to_thread
import numpy as np
import pytest

from asyncexec.backends.contract import ValueKeepingBackend, value_store_of
from asyncexec.errors import ValueLostError
from asyncexec.events.outcome import Many, Outcome, Status, ValueHandle
from asyncexec.testing import kernels
from asyncexec.testing.conformance.suite import Factory, Suite
from asyncexec.testing.driving import Driven
from asyncexec.worker.values import ValueStore

_COUNT = 1_000_000


class KeepingRules(Suite):
    """A value under a handle is there for every task and for the driver, until it is deleted."""

    async def test_a_kept_value_is_there_for_tasks_and_driver(self, backend: Factory) -> None:
        """As an input, among many, more than once, and unharmed by a task that changes its input."""
        self._need_store(backend)
        async with self.driven(backend) as driven:
            store = self._store(driven)
            handle = await self._kept(driven)
            assert type(handle) is ValueHandle
            assert handle.nbytes >= 8 * _COUNT
            spoil = driven.program(lambda index, a: int((a.__imul__(2)).sum()))
            total = driven.program(lambda index, a, many: [int(a.sum()), int(many[1].sum())])
            changed = [driven.send(spoil, [task], [handle])[0] for task in range(3)]
            assert [await driven.value(attempt) for attempt in changed] == [2 * _COUNT] * 3
            (attempt,) = driven.send(total, [0], [handle, Many((1, handle))])
            assert await driven.value(attempt) == [_COUNT, _COUNT]
            assert store.get(handle).sum() == _COUNT

    async def test_a_deleted_value_is_lost_to_those_that_come_later(self, backend: Factory) -> None:
        """Deleting twice does no harm; an attempt that reads it fails by itself, and says why."""
        self._need_store(backend)
        async with self.driven(backend) as driven:
            store = self._store(driven)
            handle, other = await self._kept(driven), await self._kept(driven)
            store.delete([handle])
            store.delete([handle])
            await self.until(lambda: self._lost(store, handle), "the end of a deleted value")
            (attempt,) = driven.send(driven.program(kernels.echo), [0], [handle])
            outcome = await driven.outcome(attempt)
            assert outcome.status is Status.FAILED
            assert outcome.error is not None
            assert outcome.error.type == "asyncexec.errors.ValueLostError"
            assert store.get(other).sum() == _COUNT

    async def test_a_value_is_there_or_lost_when_workers_have_died(self, backend: Factory) -> None:
        """Opening it returns the value, or raises ``ValueLostError``, and does not take for ever."""
        self._need_store(backend)
        async with self.driven(backend) as driven:
            store = self._store(driven)
            self.need(driven.backend.capabilities.isolated, "workers share the driver's process")
            handle = await self._kept(driven)
            lethal = driven.program(kernels.die)
            for task in range(driven.backend.slots):
                (attempt,) = driven.send(lethal, [task])
                assert (await driven.outcome(attempt)).status is Status.LOST
            if not await anyio.to_thread.run_sync(self._lost, store, handle):
                assert store.get(handle).sum() == _COUNT
            assert (
                await driven.outcome(driven.send(driven.program(kernels.echo), [0], [1])[0])
            ).value

    async def test_nothing_is_kept_after_leaving(self, backend: Factory) -> None:
        """A value that nobody has deleted goes with the backend, and to delete it then does no harm."""
        self._need_store(backend)
        async with self.driven(backend) as driven:
            store = self._store(driven)
            handle = await self._kept(driven)
        assert value_store_of(driven.backend) is None
        store.delete([handle])
        with pytest.raises(ValueLostError):
            store.get(handle)

    async def test_small_values_are_not_kept(self, backend: Factory) -> None:
        """A number or a word is not worth a handle."""
        self._need_store(backend)
        async with self.driven(backend) as driven:
            self._store(driven)
            attempts = driven.send(driven.program(lambda index: "word"), [0])
            attempts += driven.send(driven.program(lambda index: index[0]), [1])
            outcomes: list[Outcome] = await driven.outcomes_of(attempts)
        assert not any(type(outcome.value) is ValueHandle for outcome in outcomes)

    def _need_store(self, backend: Factory) -> None:
        self.need(isinstance(backend(), ValueKeepingBackend), "it keeps no values")

    def _store(self, driven: Driven) -> ValueStore:
        store = value_store_of(driven.backend)
        if store is None:
            pytest.skip("it keeps no values")
        return store

    async def _kept(self, driven: Driven) -> ValueHandle:
        program = driven.program(lambda index: np.ones(_COUNT, dtype="i8"))
        (attempt,) = driven.send(program, [0])
        value: ValueHandle = (await driven.outcome(attempt)).value
        return value

    @staticmethod
    def _lost(store: ValueStore, handle: ValueHandle) -> bool:
        try:
            store.get(handle)
        except ValueLostError:
            return True
        return False
