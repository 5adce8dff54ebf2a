"""Placement of tasks on workers, on a backend that can choose."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest

from asyncexec.backends.contract import AvoidingBackend
from asyncexec.events.outcome import Status
from asyncexec.testing import kernels
from asyncexec.testing.conformance.suite import Factory, Suite
from asyncexec.testing.driving import Driven
from asyncexec.testing.kernels import Held


class PlacementRules(Suite):
    """Avoided workers are left idle, and tasks that are to run apart do."""

    async def test_workers_that_are_avoided_start_nothing(
        self, backend: Factory, files: Path
    ) -> None:
        """Until nobody asks for it; and ``slots`` counts the others only. Idle workers have to stay that long."""
        async with self.driven(backend) as driven:
            choosing, slots = _choosing(driven), driven.backend.slots
            names = await _everybody(driven, files / "before")
            self.need(len(set(names)) > 1, "it has one worker")
            avoided = names[0]
            choosing.avoid({avoided})
            await self.until(
                lambda: driven.backend.slots == slots - names.count(avoided), "fewer slots"
            )
            attempts = driven.send_all(driven.program(kernels.echo), range(10 * slots), size=2)
            for outcome in await driven.outcomes_of(attempts):
                assert outcome.status is Status.SUCCEEDED
                assert outcome.worker != avoided
            choosing.avoid(())
            await self.until(lambda: driven.backend.slots == slots, "all slots")
            assert avoided in await _everybody(driven, files / "after")
            await driven.finish()

    async def test_what_runs_on_a_worker_that_is_avoided_goes_on(
        self, backend: Factory, files: Path
    ) -> None:
        """Others do meanwhile what comes."""
        held = Held(directory=files, only=(0,))
        async with self.driven(backend) as driven:
            choosing = _choosing(driven)
            names = await _everybody(driven, files / "before")
            self.need(len(set(names)) > 1, "it has one worker")
            (first,) = driven.send(driven.program(held), [0])
            avoided = (await driven.started(first)).worker
            choosing.avoid({avoided})
            attempts = driven.send_all(driven.program(kernels.echo), range(8), size=1)
            assert avoided not in {o.worker for o in await driven.outcomes_of(attempts)}
            assert first not in driven.outcomes
            held.release()
            outcome = await driven.outcome(first)
            assert (outcome.status, outcome.worker) == (Status.SUCCEEDED, avoided)
            await driven.finish()

    async def test_avoiding_workers_that_are_not_there_changes_nothing(
        self, backend: Factory
    ) -> None:
        """They may have died, or been let go, since they were found slow."""
        async with self.driven(backend) as driven:
            choosing = _choosing(driven)
            program = driven.program(kernels.echo)
            await driven.outcomes_of(driven.send(program, [0]))
            slots = driven.backend.slots
            choosing.avoid({"nobody", "nobody:1"})
            assert driven.backend.slots == slots
            outcomes = await driven.outcomes_of(driven.send_all(program, range(1, 9), size=1))
            assert {o.status for o in outcomes} == {Status.SUCCEEDED}
            await driven.finish()

    async def test_what_is_to_run_apart_runs_on_another_worker(
        self, backend: Factory, files: Path
    ) -> None:
        """If there is one; otherwise it runs all the same."""
        held = Held(directory=files, only=(0,))
        async with self.driven(backend) as driven:
            _choosing(driven)
            names = set(await _everybody(driven, files / "before"))
            self.need(len(names) > 1, "it has one worker")
            (first,) = driven.send(driven.program(held), [0])
            worker = (await driven.started(first)).worker
            program = driven.program(held)
            for task in range(1, 4):
                (other,) = driven.send(program, [task], apart_from={worker})
                assert (await driven.outcome(other)).worker != worker
            (anywhere,) = driven.send(program, [4], apart_from=names)
            assert (await driven.outcome(anywhere)).status is Status.SUCCEEDED
            held.release()
            await driven.finish()


def _choosing(driven: Driven) -> AvoidingBackend:
    if not isinstance(driven.backend, AvoidingBackend):
        pytest.skip("it cannot choose among its workers")
    return driven.backend


async def _everybody(driven: Driven, directory: Path) -> Sequence[str]:
    """Return the worker's name for each slot, by having all of them work at once."""
    await anyio.Path(directory).mkdir()
    held = Held(directory=directory)
    program = driven.program(held)
    attempts = [driven.send(program, [task])[0] for task in range(driven.backend.slots)]
    names = [(await driven.started(attempt)).worker for attempt in attempts]
    held.release()
    await driven.outcomes_of(attempts)
    return names
