"""Garbled reports change nothing about results; a broken backend ends the run."""

import pytest

from asyncexec.backends.contract import Backend, Capabilities
from asyncexec.engine import Engine
from asyncexec.errors import BackendError
from asyncexec.events.records import AttemptEnded, TaskSucceeded
from asyncexec.plan import Plan
from asyncexec.plan.locality import Locality
from asyncexec.testing.driving import Driven
from asyncexec.testing.fates import RandomFates
from asyncexec.testing.faulty_backend import FaultyBackend, Garbling
from asyncexec.testing.model_backend import ModelBackend
from asyncexec.testing.virtual_time import run, virtual_time

BATCHES = Capabilities(name="model", kills=True, locality=Locality.SAME_PROCESS, batch_limit=16)


def backend(garbling, fate=1.0, **options):
    return FaultyBackend(ModelBackend(fate, **options), garbling)


def test_it_is_a_backend():
    assert isinstance(backend(Garbling()), Backend)


@virtual_time
async def test_without_garbling_nothing_changes():
    async with Driven(backend(Garbling()), patience=1e6) as d:
        outcomes = await d.outcomes_of(d.send(d.program(lambda index: index), range(5)))
        await d.finish()
    assert [o.value for o in outcomes] == [(i,) for i in range(5)]


@pytest.mark.parametrize(
    "garbling",
    [
        Garbling(duplicated=1.0),
        Garbling(duplicated=0.5, reordered=True, unasked=0.5),
        Garbling(lost=0.3, late=1.0),
        Garbling(duplicated=0.3, late=0.5, unasked=0.3, reordered=True, lost=0.2),
    ],
    ids=str,
)
@pytest.mark.parametrize("seed", range(3))
def test_each_task_completes_once_whatever_is_garbled(garbling, seed):
    async def main():
        events = []
        fates = RandomFates(seconds=1, sigma=0.5, slow=0.1, failing=0.05, seed=seed)
        garbled = backend(garbling, fates, slots=4, capabilities=BATCHES)
        async with Engine(executor=garbled, observers=[events.append]) as engine:
            result = await engine.execute(
                Plan.map(lambda x: x + 1, range(60)).then(lambda x: 10 * x, name="tenfold")
            )
        assert result.value == [10 * (x + 1) for x in range(60)]
        done = [(e.attempt.stage, e.attempt.task) for e in events if isinstance(e, TaskSucceeded)]
        assert len(done) == len(set(done)) == 120
        ended = [e.attempt.id for e in events if isinstance(e, AttemptEnded)]
        assert len(ended) == len(set(ended))

    run(main(), seed=seed)


@virtual_time
async def test_a_backend_that_breaks_ends_the_run_and_says_so():
    async with Engine(executor=backend(Garbling(breaks_after=7))) as engine:
        with pytest.raises(BackendError, match="broken on purpose"):
            await engine.execute(Plan.map(str, range(50)))
        with pytest.raises(BackendError):
            await engine.execute(Plan.map(str, range(50)))
