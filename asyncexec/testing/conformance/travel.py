"""Values and errors that travel to a worker and back."""

from __future__ import annotations

import pickle
import re
import threading
from pathlib import Path

import numpy as np

from asyncexec.backends.contract import Capabilities
from asyncexec.events.outcome import Encoded, Many, Status
from asyncexec.plan.locality import Locality
from asyncexec.testing import kernels
from asyncexec.testing.conformance.suite import Factory, Suite
from asyncexec.testing.kernels import Files, Protesting


class TravelRules(Suite):
    """Functions, inputs, values and chunks arrive as they are."""

    async def test_functions_travel_by_what_they_are(self, backend: Factory) -> None:
        """Lambdas, closures, and two functions of one name in one module."""
        offset = 40
        one, other = kernels.same_names()
        async with self.driven(backend) as driven:
            attempts = [
                *driven.send(driven.program(lambda index: index[0] + 1), [1]),
                *driven.send(driven.program(lambda index: index[0] + offset), [2]),
                *driven.send(driven.program(one), [0]),
                *driven.send(driven.program(other), [0]),
            ]
            values = [await driven.value(attempt) for attempt in attempts]
        assert values == [2, 42, "one", "other"]

    async def test_inputs_arrive(self, backend: Factory) -> None:
        """As they are, encoded by an earlier stage, or many at once."""
        encoded = Encoded(pickle.dumps({"a": [1, 2]}))
        inputs = [lambda: 7, encoded, Many((encoded, 3))]
        async with self.driven(backend) as driven:
            kernel = driven.program(lambda index, f, one, many: (f(), one, many))
            (attempt,) = driven.send(kernel, [0], inputs)
            value = await driven.value(attempt)
        assert value == (7, {"a": [1, 2]}, [{"a": [1, 2]}, 3])

    async def test_large_values_travel(self, backend: Factory) -> None:
        """5 MB there and 10 MB back, to and from several tasks at once."""
        array = np.arange(5_000_000 // 8, dtype=np.int64)
        async with self.driven(backend) as driven:
            program = driven.program(lambda index, a: np.concatenate([a, a + index[0]]))
            attempts = [driven.send(program, [task], [array])[0] for task in range(4)]
            values = [await driven.value(attempt) for attempt in attempts]
        for task, value in enumerate(values):
            assert np.array_equal(value, np.concatenate([array, array + task]))

    async def test_what_cannot_travel_fails_its_own_attempt(self, backend: Factory) -> None:
        """An input or a value that cannot be pickled is a failure that says so, of that attempt alone.

        Also a value that raises ``SystemExit`` or ``KeyboardInterrupt`` as it is pickled: its worker goes on.
        """
        self.need(_travels(backend().capabilities), "nothing is pickled in the same process")
        async with self.driven(backend) as driven:
            capabilities = driven.backend.capabilities
            self.need(_travels(capabilities), "nothing is pickled in the same process")
            failing = [
                *driven.send(driven.program(lambda index, x: 1), [0], [threading.Lock()]),
                *driven.send(driven.program(lambda index: threading.Lock()), [1]),
                *driven.send(driven.program(lambda index: Protesting(SystemExit())), [2]),
                *driven.send(driven.program(lambda index: Protesting(KeyboardInterrupt())), [3]),
            ]
            (good,) = driven.send(driven.program(kernels.echo), [4])
            assert (await driven.outcome(good)).status is Status.SUCCEEDED
            for outcome in await driven.outcomes_of(failing):
                assert outcome.status is Status.FAILED
                assert outcome.error is not None
                assert outcome.error.type == "asyncexec.errors.SerializationError"
                assert re.search("lock|a Protesting", outcome.error.message)

    async def test_storage_is_read_and_written_by_the_worker(
        self, backend: Factory, files: Path
    ) -> None:
        """With an ``io``, nothing but figures comes back."""
        io = Files(directory=files)
        async with self.driven(backend) as driven:
            attempts = driven.send_all(driven.program(kernels.echo, io=io), range(20))
            outcomes = await driven.outcomes_of(attempts)
        for task, outcome in enumerate(outcomes):
            assert outcome.status is Status.SUCCEEDED
            assert (outcome.read_bytes, outcome.written_bytes, outcome.value) == (8, 16, None)
            assert io.saved(task).read_text() == f"(({task},),)"


def _travels(capabilities: Capabilities) -> bool:
    return capabilities.locality is not Locality.SAME_PROCESS
