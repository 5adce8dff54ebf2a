"""Linear algebra in tasks that run side by side takes its share of the cores, and all of them otherwise."""

import threading

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController, threadpool_limits

import asyncexec as ax
from asyncexec.backends.threads.blas import BlasShare
from asyncexec.testing.patience import scaled

CORES = 8
MATRIX = np.ones((2, 2)) @ np.ones((2, 2))  # which loads NumPy's BLAS, where it has one


def threads():
    """The threads that each library of linear algebra takes."""
    libraries = ThreadpoolController().select(user_api="blas").lib_controllers
    return [library.num_threads for library in libraries]


@pytest.fixture(autouse=True)
def allowed(monkeypatch):
    """As if there were so many cores, and BLAS took them all."""
    if not threads():
        pytest.skip("NumPy has no BLAS that says its threads")
    monkeypatch.setattr("asyncexec.backends.threads.blas.usable_cores", lambda: CORES)
    with threadpool_limits(CORES, user_api="blas"):
        yield


@pytest.mark.parametrize("busy, expected", [(0, 8), (1, 8), (2, 4), (3, 2), (8, 1), (50, 1)])
def test_each_of_the_tasks_that_run_has_an_equal_share(busy, expected):
    share = BlasShare()
    share.of(busy)
    assert set(threads()) == {expected}
    share.of(0)
    assert set(threads()) == {CORES}


def test_the_least_of_several_pools_holds_until_the_last_one_ends():
    one, other = BlasShare(), BlasShare()
    one.of(2)
    other.of(8)
    assert set(threads()) == {1}
    other.of(0)
    assert set(threads()) == {4}
    one.of(0)
    assert set(threads()) == {CORES}


def test_what_the_user_has_limited_further_stays():
    share = BlasShare()
    with threadpool_limits(2, user_api="blas"):
        share.of(2)
        assert set(threads()) == {2}
        share.of(0)
        assert set(threads()) == {2}


def test_what_the_user_sets_meanwhile_stays():
    share = BlasShare()
    share.of(4)
    with threadpool_limits(5, user_api="blas"):
        share.of(0)
        assert set(threads()) == {5}


async def test_tasks_are_limited_while_several_run_and_not_afterwards():
    together = threading.Barrier(4)
    limited = threading.Event()

    def task(_):
        together.wait(scaled(20))
        for _ in range(int(scaled(2000))):
            if set(threads()) == {CORES // 4}:
                limited.set()
            if limited.wait(0.01):
                return True
        return False

    async with ax.Engine("threads", executor_options={"max_workers": 4}) as engine:
        result = await engine.execute(ax.Plan.map(task, range(4)))
        assert result.value == [True] * 4
    assert set(threads()) == {CORES}
