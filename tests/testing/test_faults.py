"""Attempts misbehave as chosen, on any backend, and are counted over all workers."""

import pickle
import threading
import time

import pytest

from asyncexec.engine import Engine
from asyncexec.errors import OptionError, TaskFailedError, UsageError
from asyncexec.plan import Plan
from asyncexec.policies.retry import Retry
from asyncexec.testing.faults import Die, Fail, Faults, Hang, Moment, Slow
from asyncexec.testing.injection import inject
from asyncexec.testing.patience import scaled

QUICK = Retry(attempts=4, base_seconds=0.0, cap_seconds=0.0)


def double(item):
    return 2 * item


def test_chosen_attempts_misbehave_and_others_do_not(tmp_path):
    faults = Faults(folder=tmp_path, chosen={("s", 1): [Fail(error=OSError), None, Fail()]})
    function = faults.wrap(double, stage="s")
    assert function(0) == 0
    with pytest.raises(OSError, match="injected"):
        function(1)
    assert function(1) == 2
    with pytest.raises(ConnectionError):
        function(1)
    assert function(1) == 2
    assert (faults.attempts("s", 0), faults.attempts("s", 1), faults.attempts("s", 2)) == (1, 4, 0)


def test_a_share_of_attempts_misbehaves_always_the_same(tmp_path):
    def failing(folder, seed):
        folder.mkdir()
        faults = Faults(folder=folder, rates=[(0.2, Fail()), (0.3, Slow())], seed=seed)
        return [type(faults.begin("s", (i,))).__name__ for i in range(300)]

    first = failing(tmp_path / "a", 1)
    assert first == failing(tmp_path / "b", 1) != failing(tmp_path / "c", 2)
    assert 30 < first.count("Fail") < 90
    assert 50 < first.count("Slow") < 130


def test_shares_spare_later_attempts(tmp_path):
    faults = Faults(folder=tmp_path, rates=[(1.0, Fail())], spared_after=3)
    assert [faults.begin("s", (0,)) is None for _ in range(4)] == [False, False, True, True]


def test_attempts_are_counted_once_whoever_counts(tmp_path):
    faults = Faults(folder=tmp_path)
    threads = [
        threading.Thread(target=lambda: [faults.begin("s", (0, 0)) for _ in range(50)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults.attempts("s", (0, 0)) == 200


def test_what_hangs_is_released(tmp_path):
    faults = Faults(folder=tmp_path, chosen={("", 3): [Hang()]})
    results = []
    thread = threading.Thread(target=lambda: results.append(faults.wrap(double)(3)))
    thread.start()
    thread.join(0.05)
    assert thread.is_alive()
    faults.release()
    thread.join()
    assert results == [6]


def test_slowness_is_added_or_multiplied(tmp_path):
    faults = Faults(folder=tmp_path, chosen={("", 1): [Slow(seconds=0.03), Slow(factor=4)]})
    function = faults.wrap(lambda _: time.sleep(0.02))
    for least in (0.05, 0.08):
        start = time.perf_counter()
        function(1)
        assert time.perf_counter() - start >= least


def test_the_driver_does_not_die(tmp_path):
    faults = Faults(folder=tmp_path, chosen={("", 1): [Die()]})
    with pytest.raises(UsageError, match="driver"):
        faults.wrap(double)(1)


def test_faults_travel(tmp_path):
    faults = Faults(folder=tmp_path, chosen={("", 1): [Die(), Hang()]}, rates=[(0.5, Slow())])
    assert pickle.loads(pickle.dumps(faults.wrap(double))).faults == faults


def test_plain_functions_of_other_things_are_refused(tmp_path):
    with pytest.raises(UsageError, match="inject"):
        Faults(folder=tmp_path).wrap(double)("text")


@pytest.mark.parametrize("rates", [[(0.6, Fail()), (0.6, Fail())], [(-0.1, Fail())]])
def test_rates_are_shares(rates, tmp_path):
    with pytest.raises(OptionError, match="shares"):
        Faults(folder=tmp_path, rates=rates)


def test_the_folder_must_exist(tmp_path):
    with pytest.raises(OptionError, match="existing folder"):
        Faults(folder=tmp_path / "none")


async def test_a_plan_of_functions_survives_faults_on_threads(tmp_path):
    faults = Faults(
        folder=tmp_path,
        chosen={("double", 3): [Fail(), Fail(moment=Moment.SAVE)], ("double", 5): [Slow()]},
    )
    async with Engine(executor="threads") as engine:
        result = await engine.execute(inject(Plan.map(double, range(10)), faults), retry=QUICK)
    assert result.value == [2 * i for i in range(10)]
    assert result.retries == 2
    assert faults.attempts("double", 3) == 3


async def test_a_plan_survives_death_and_hanging_on_processes(tmp_path):
    faults = Faults(
        folder=tmp_path,
        chosen={
            ("double", 3): [Die()],
            ("double", 4): [Die(signal=None, exit_code=3, moment=Moment.TOLD)],
            ("double", 7): [Hang()],
        },
    )
    async with Engine(executor="processes", executor_options={"max_workers": 2}) as engine:
        plan = inject(Plan.map(double, range(10)), faults)
        result = await engine.execute(plan, retry=QUICK, timeout=scaled(2.0))
    assert result.value == [2 * i for i in range(10)]
    assert [faults.attempts("double", i) >= 2 for i in (3, 4, 7)] == [True] * 3


async def test_faults_that_go_on_end_the_run(tmp_path):
    faults = Faults(folder=tmp_path, rates=[(1.0, Fail(error=ValueError))], spared_after=99)
    async with Engine(executor="threads") as engine:
        with pytest.raises(TaskFailedError, match="injected"):
            await engine.execute(inject(Plan.map(double, range(3)), faults))
