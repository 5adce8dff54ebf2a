"""Model workers keep the contract's rules, on virtual time."""

import math
from itertools import pairwise

import anyio
import pytest

from asyncexec.backends.contract import Backend, Capabilities
from asyncexec.engine import Engine
from asyncexec.errors import OptionError, TaskFailedError, UsageError, WorkerLostError
from asyncexec.events.outcome import Status
from asyncexec.plan import Plan
from asyncexec.plan.locality import Locality
from asyncexec.testing.driving import Driven
from asyncexec.testing.fates import Fate, RandomFates, Visit
from asyncexec.testing.model_backend import ModelBackend
from asyncexec.testing.virtual_time import run, virtual_time

KILLS = Capabilities(
    name="model", kills=True, isolated=True, locality=Locality.SAME_PROCESS, batch_limit=8
)
GIVES_UP = Capabilities(name="model", locality=Locality.SAME_PROCESS, batch_limit=8)


def square(index, *inputs):
    return index[0] ** 2


def driven(backend):
    return Driven(backend, patience=1e6)


def test_it_is_a_backend():
    assert isinstance(ModelBackend(), Backend)


@virtual_time
async def test_attempts_take_their_time_and_no_other():
    async with driven(ModelBackend(3600, slots=2)) as d:
        program = d.program(square)
        attempts = [d.send(program, [task])[0] for task in range(5)]
        outcomes = await d.outcomes_of(attempts)
        await d.finish()
    assert [o.value for o in outcomes] == [0, 1, 4, 9, 16]
    assert {o.seconds for o in outcomes} == {3600}
    assert anyio.current_time() == 3 * 3600
    assert d.backend.ledger.peak == 2
    assert d.starts.keys() == set(attempts)


@virtual_time
async def test_a_batch_runs_one_after_another_on_one_worker():
    async with driven(ModelBackend(10, slots=2, capabilities=KILLS)) as d:
        outcomes = await d.outcomes_of(d.send(d.program(square), range(4)))
    assert len({o.worker for o in outcomes}) == 1
    starts = [o.started_at for o in outcomes]
    assert [b - a for a, b in pairwise(starts)] == pytest.approx([10] * 3)
    assert d.backend.ledger.peak == 1


@virtual_time
async def test_short_attempts_are_not_announced():
    async with driven(ModelBackend(0.001)) as d:
        await d.outcomes_of(d.send(d.program(square), [0]))
    assert d.starts == {}


@virtual_time
async def test_what_waits_is_dropped():
    async with driven(ModelBackend(10, slots=1, capabilities=KILLS)) as d:
        first = d.send(d.program(square), range(3))
        (queued,) = d.send(d.program(square), [9])
        await d.started(first[0])
        d.backend.cancel([first[1], queued])
        outcomes = await d.outcomes_of([*first, queued])
        await d.finish()
    assert [o.status.name for o in outcomes] == ["SUCCEEDED", "CANCELLED", "SUCCEEDED", "CANCELLED"]
    assert [o.started for o in outcomes] == [True, False, True, False]
    assert anyio.current_time() == 20


@virtual_time
async def test_a_kill_takes_the_worker_and_the_rest_of_its_batch():
    async with driven(ModelBackend(math.inf, slots=1, capabilities=KILLS, kill_seconds=2)) as d:
        killed, rest = d.send(d.program(square), [0, 1])
        await d.started(killed)
        await anyio.sleep(5)
        d.backend.cancel([killed])
        d.backend.cancel([killed])
        outcomes = await d.outcomes_of([killed, rest])
        assert anyio.current_time() == 7
        await d.finish()
    assert [(o.status, o.started) for o in outcomes] == [
        (Status.CANCELLED, True),
        (Status.LOST, False),
    ]
    assert d.backend.ledger.running == 0


@virtual_time
async def test_what_cannot_be_killed_is_given_up_and_takes_no_effect():
    async with driven(ModelBackend(10, slots=1, capabilities=GIVES_UP)) as d:
        given_up, other = d.send(d.program(square), [0, 1])
        await d.started(given_up)
        d.backend.cancel([given_up])
        assert (await d.outcome(given_up)).status is Status.CANCELLED
        assert anyio.current_time() == 0
        assert (await d.outcome(other)).status is Status.SUCCEEDED
        await d.finish()
        await anyio.sleep(1)
    assert d.backend.ledger.late == 1
    assert d.backend.ledger.effects == {("tested", 1): 1}
    assert d.backend.ledger.workers == 2


@virtual_time
async def test_a_dying_worker_charges_nobody_but_what_ran():
    fate = Fate(seconds=3, status=Status.LOST, error=MemoryError("killed"))
    async with driven(ModelBackend(lambda _: fate, capabilities=KILLS)) as d:
        outcomes = await d.outcomes_of(d.send(d.program(square), [0, 1]))
    assert [(o.status, o.started) for o in outcomes] == [(Status.LOST, True), (Status.LOST, False)]
    assert outcomes[0].error.type == "builtins.MemoryError"


@virtual_time
async def test_a_kernel_that_raises_fails_its_attempt():
    def broken(index):
        raise KeyError(index)

    async with driven(ModelBackend(1)) as d:
        (outcome,) = await d.outcomes_of(d.send(d.program(broken), [0]))
    assert outcome.status is Status.FAILED
    assert isinstance(outcome.error.exception, KeyError)
    assert d.backend.ledger.effects == {}


@virtual_time
async def test_leaving_ends_what_hangs():
    async with driven(ModelBackend(math.inf)) as d:
        await d.started(d.send(d.program(square), [0])[0])


def test_it_is_used_inside_its_context():
    with pytest.raises(UsageError):
        ModelBackend().map(())


@pytest.mark.parametrize(
    "wrong", [{"seconds": -1}, {"seconds": math.nan}, {"status": Status.CANCELLED}]
)
def test_a_fate_that_cannot_be_is_refused(wrong):
    with pytest.raises(OptionError):
        Fate(**wrong)


def test_random_fates_depend_on_the_attempt_alone():
    visits = [Visit("s", task, number, 0, "w", 0.0) for task in range(200) for number in (1, 2, 3)]
    shares = dict(slow=0.1, failing=0.2, lost=0.1, hanging=0.1)
    fates = RandomFates(sigma=0.5, **shares, error=OSError("x"), seed=3)
    decided = {v: fates(v) for v in visits}
    assert {v: fates(v._replace(at=9.0, worker="x")) for v in reversed(visits)} == decided
    assert {f.status for f in decided.values()} >= {Status.FAILED, Status.LOST}
    spared = [f for v, f in decided.items() if v.number >= 3]
    assert all(f.status is Status.SUCCEEDED and math.isfinite(f.seconds) for f in spared)
    assert RandomFates(sigma=0.5, seed=4)(visits[0]) != RandomFates(sigma=0.5, seed=5)(visits[0])


@virtual_time
async def test_the_engine_runs_hours_of_work_at_once():
    backend = ModelBackend(60, slots=10)
    async with Engine(executor=backend) as engine:
        result = await engine.execute(Plan.map(lambda x: x + 1, range(600)), straggler="off")
    assert result.value == list(range(1, 601))
    assert anyio.current_time() == pytest.approx(3600)
    assert set(backend.ledger.effects.values()) == {1}


def makespan(seed):
    async def main():
        fates = RandomFates(seconds=5, sigma=0.3, slow=0.02, failing=0.05, lost=0.02, seed=seed)
        backend = ModelBackend(fates, slots=8)
        async with Engine(executor=backend) as engine:
            result = await engine.execute(Plan.map(str, range(300)))
        assert result.value == [str(i) for i in range(300)]
        return [v[:3] for v in backend.ledger.visits if v.number == 1]

    return run(main())


def test_every_task_of_an_unreliable_cluster_completes_and_first_starts_repeat():
    assert makespan(1)[:8] == makespan(1)[:8]


@virtual_time
async def test_failures_reach_the_caller():
    always = Fate(seconds=1, status=Status.FAILED, error=ValueError("no"))
    async with Engine(executor=ModelBackend(lambda _: always)) as engine:
        with pytest.raises(TaskFailedError, match="ValueError: no"):
            await engine.execute(Plan.map(str, [1]))
    lost = Fate(seconds=1, status=Status.LOST)
    async with Engine(executor=ModelBackend(lambda _: lost)) as engine:
        with pytest.raises(WorkerLostError, match="See what ended the workers"):
            await engine.execute(Plan.map(str, [1]), retry=1)
