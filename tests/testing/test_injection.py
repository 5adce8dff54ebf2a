"""Faults at every moment of an array task leave the same array behind."""

import pickle

import numpy as np
import pytest

import asyncexec.array as xp
from asyncexec.array import Spec
from asyncexec.engine import Engine
from asyncexec.policies.retry import Retry
from asyncexec.testing.faults import Die, Fail, Faults, Moment
from asyncexec.testing.injection import FaultyIO, inject

QUICK = Retry(attempts=4, base_seconds=0.0, cap_seconds=0.0)
DATA = np.arange(24.0).reshape(4, 6)


def plan_in(folder):
    spec = Spec(work_dir=str(folder), allowed_mem="1GB")
    return xp.sum(xp.from_array(DATA, chunks=(2, 3), spec=spec) + 1, axis=0).to_plan()


@pytest.mark.parametrize("moment", list(Moment))
async def test_failing_attempts_are_made_good(moment, tmp_path):
    (tmp_path / "faults").mkdir()
    faults = Faults(folder=tmp_path / "faults", rates=[(1.0, Fail(moment=moment))], spared_after=2)
    async with Engine(executor="threads") as engine:
        result = await engine.execute(inject(plan_in(tmp_path), faults), retry=QUICK)
    np.testing.assert_array_equal(result.value, (DATA + 1).sum(axis=0))
    assert result.retries == result.tasks > 0


async def test_dying_workers_are_made_good(tmp_path):
    (tmp_path / "faults").mkdir()
    plan = plan_in(tmp_path)
    last = plan.stages[-1].name
    deaths = [Die(moment=Moment.TOLD)]
    faults = Faults(folder=tmp_path / "faults", chosen={(last, (0,)): deaths})
    async with Engine(executor="processes", executor_options={"max_workers": 2}) as engine:
        result = await engine.execute(inject(plan, faults), retry=QUICK)
    np.testing.assert_array_equal(result.value, (DATA + 1).sum(axis=0))
    assert faults.attempts(last, 0) == 2


def test_kernels_and_fingerprints_stay_what_they_are(tmp_path):
    plan = plan_in(tmp_path)
    injected = inject(plan, Faults(folder=tmp_path))
    assert injected.fingerprint == plan.fingerprint
    assert [s.kernel for s in injected.stages] == [s.kernel for s in plan.stages]


class _Nothing:
    def load(self, index):
        return (), 0

    def save(self, index, result):
        return 7


def test_faulty_io_travels_and_passes_on(tmp_path):
    io = pickle.loads(pickle.dumps(FaultyIO(_Nothing(), Faults(folder=tmp_path), "s")))
    assert io.load((1,)) == ((), 0)
    assert io.save((1,), None) == 7
