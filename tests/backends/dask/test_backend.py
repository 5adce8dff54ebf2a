"""The decisions of the `dask` executor, without a cluster."""

import pytest

pytest.importorskip("distributed")

from asyncexec.backends.dask import DaskBackend
from asyncexec.backends.dask.scaling import Growth, Reminder
from asyncexec.backends.dask.workers import Census
from asyncexec.errors import OptionError


@pytest.mark.parametrize(
    "options, word",
    [
        ({"max_workers": 0}, "max_workers"),
        ({"max_workers": 3, "threads": 2}, "multiple of threads"),
        ({"processes": "no"}, "processes"),
        ({"processes": False, "memory": "1GB"}, "worker processes"),
        ({"processes": False, "env_vars": {"A": "1"}}, "worker processes"),
        ({"processes": False, "kill_workers": True}, "kill_workers"),
        ({"threads": 2, "max_workers": 2, "kill_workers": True}, "kill_workers"),
        ({"resources": {"x": -1}}, "'x'"),
        ({"gpus": "two"}, "gpus"),
        ({"memory": "much"}, "memory"),
        ({"patience": -1}, "patience"),
        ({"adaptive": (3, 2)}, "adaptive"),
        ({"adaptive": 5}, "adaptive"),
        ({"cluster_address": "tcp://here:1", "scheduler_file": "x.json"}, "only one of"),
        ({"cluster_address": "tcp://here:1", "max_workers": 2}, "max_workers"),
        ({"cluster_address": "tcp://here:1", "env_vars": {"A": "1"}}, "env_vars"),
        ({"cluster_address": "tcp://here:1", "adaptive": (1, 2)}, "cluster object"),
        ({"cluster_address": 8786}, "cluster_address"),
        ({"cluster": 5}, "cluster"),
        ({"client": 5}, "client"),
        ({"security": object()}, "security"),
    ],
)
def test_wrong_options_are_refused_by_name(options, word):
    with pytest.raises(OptionError, match=word):
        DaskBackend(**options)


def test_what_it_can_do_follows_from_its_options():
    assert DaskBackend(max_workers=2).capabilities.kills
    assert not DaskBackend(max_workers=4, threads=2).capabilities.kills
    assert not DaskBackend(cluster_address="tcp://here:1").capabilities.kills
    assert not DaskBackend(cluster_address="tcp://here:1").capabilities.local
    shared = DaskBackend(processes=False).capabilities
    assert (shared.shares_memory, shared.isolated, shared.kills) == (True, False, False)
    assert (
        DaskBackend(max_workers=4, threads=2, memory="1GB").capabilities.worker_bytes == 5 * 10**8
    )
    asked = DaskBackend(cpus=3, gpus=1, resources={"licence": 2}).capabilities.resources
    assert asked == {"cpus": 3, "gpus": 1, "licence": 2}


def test_memory_is_measured_where_a_process_never_holds_that_of_two_tasks():
    assert DaskBackend(max_workers=2).capabilities.measures_memory
    assert DaskBackend(
        cluster_address="tcp://here:1", kill_workers=True
    ).capabilities.measures_memory
    assert not DaskBackend(cluster_address="tcp://here:1").capabilities.measures_memory
    assert not DaskBackend(max_workers=4, threads=2).capabilities.measures_memory
    assert not DaskBackend(processes=False).capabilities.measures_memory
    # What is given up computes on, beside the next task.
    assert not DaskBackend(max_workers=2, kill_workers=False).capabilities.measures_memory


def told(threads: int = 1, **resources: float) -> dict:
    return {"nthreads": threads, "memory_limit": 0, "resources": resources, "nanny": None}


def test_the_idlest_worker_is_taken_and_none_beyond_its_threads():
    census = Census()
    census.learn({"a": told(2), "b": told(1)})
    taken = [census.take({}) for _ in range(4)]
    assert sorted(w.address for w in taken[:3]) == ["a", "a", "b"]
    assert taken[0].address != taken[1].address
    assert taken[3] is None
    census.give_back(taken[0], {})
    assert census.take({}) is taken[0]


def test_a_worker_that_is_avoided_is_neither_taken_nor_counted_until_told_otherwise():
    census = Census()
    census.learn({"a": told(2), "b": told(1)})
    changed = census.changed
    census.avoid({"a", "gone long ago"})
    assert changed.is_set()
    assert census.threads == 1
    assert census.take({}).name == "b"
    assert census.take({}) is None
    census.avoid(())
    assert census.threads == 3
    assert census.take({}).name == "a"


def test_what_an_avoided_worker_runs_already_counts_until_it_has_ended():
    census = Census()
    census.learn({"a": told(2), "b": told(1)})
    worker = census.take({}, frozenset({"b"}))
    census.avoid({"a"})
    assert census.threads == 2
    census.give_back(worker, {})
    assert census.threads == 1


def test_if_all_that_are_left_are_avoided_they_are_taken_all_the_same():
    census = Census()
    census.learn({"a": told(), "b": told()})
    census.avoid({"a"})
    census.lose("b")
    assert census.threads == 1
    assert census.take({}).name == "a"


def test_a_call_that_is_to_run_apart_takes_another_worker_or_waits_for_one():
    census = Census()
    census.learn({"a": told(3), "b": told(1)})
    apart = frozenset({"a"})
    assert census.take({}).name == "a"
    other = census.take({}, apart)
    assert other.name == "b"
    assert census.take({}, apart) is None  # There are threads free, but not where it is to run,
    assert census.take({}).name == "a"  # as it may when it does not want to wait any longer.
    census.give_back(other, {})
    assert census.take({}, apart) is other


def test_a_call_that_can_run_nowhere_else_does_not_run_apart():
    census = Census()
    census.learn({"a": told(2), "b": told(2)})
    assert census.take({}, frozenset({"a", "b"})) is not None
    census.avoid({"b"})
    # Beside another attempt of it rather than on a worker that is slow.
    assert census.take({}, frozenset({"a"})).name == "a"


def test_who_has_the_named_resources_counts_more_than_who_is_avoided():
    census = Census()
    census.learn({"a": told(2, gpus=2), "b": told(2), "c": told(2, gpus=1)})
    wanted = {"gpus": 1}
    assert census.take(wanted, frozenset({"a"})).name == "c"
    assert census.take(wanted, frozenset({"a"})) is None  # The other has one, which is in use.
    census.avoid({"c"})
    assert census.take(wanted, frozenset({"a"})).name == "a"
    census.avoid({"a", "c"})
    assert census.take(wanted).name == "a"
    assert census.take({}).name == "b"


def test_an_address_that_is_had_again_is_another_worker():
    census = Census()
    census.learn({"a": told()})
    names = [census.workers["a"].name]
    for _ in range(2):
        census.lose("a")
        census.learn({"a": told()})
        names.append(census.workers["a"].name)
    assert names == ["a", "a#2", "a#3"]
    census.learn({"a": told()})
    assert census.workers["a"].name == "a#3"
    census.avoid({"a"})
    census.learn({"a": told(), "b": told()})
    assert census.threads == 2


def test_named_resources_are_counted_on_each_worker():
    census = Census()
    census.learn({"a": told(4, gpus=1), "b": told(4)})
    assert census.resources() == {"gpus": 1}
    first = census.take({"gpus": 1})
    assert first.address == "a"
    assert census.take({"gpus": 1}) is None
    census.give_back(first, {"gpus": 1})
    assert census.take({"gpus": 1}) is first


def test_a_worker_that_left_is_not_taken_and_one_to_be_killed_does_not_come_back():
    census = Census()
    census.learn({"a": told(), "b": told()})
    worker = census.workers["a"]
    census.condemn(worker)
    assert worker.gone.is_set()
    census.learn({"a": told(), "b": told()})  # The scheduler has not noticed yet.
    assert set(census.workers) == {"b"}
    census.lose("a")  # Now it has, and another may come by that address.
    census.learn({"a": told(), "b": told()})
    assert set(census.workers) == {"a", "b"}
    census.learn({"a": told()})
    assert census.threads == 1


def test_workers_double_while_work_waits_and_go_when_there_is_none():
    growth = Growth(least=1, most=5, asked=1)
    assert growth.look(0.0, waiting=3, running=1, workers=1) is None
    assert growth.look(0.9, waiting=3, running=1, workers=1) is None
    assert growth.look(1.0, waiting=3, running=1, workers=1) == 2
    assert growth.look(3.0, waiting=3, running=1, workers=1) is None  # They have not come.
    assert growth.look(4.0, waiting=3, running=2, workers=2) == 4
    assert growth.look(6.0, waiting=3, running=4, workers=4) == 5
    assert growth.look(9.0, waiting=3, running=5, workers=5) is None
    assert growth.look(10.0, waiting=0, running=1, workers=5) is None
    assert growth.look(60.0, waiting=0, running=1, workers=5) is None
    assert growth.look(61.0, waiting=0, running=0, workers=5) is None
    assert growth.look(91.0, waiting=0, running=0, workers=5) == 1
    assert growth.look(99.0, waiting=0, running=0, workers=5) is None


def test_a_short_wait_brings_no_workers():
    growth = Growth(least=1, most=5, asked=1)
    for second in range(10):
        assert growth.look(second, waiting=second % 2, running=1, workers=1) is None


def test_from_nothing_the_first_worker_is_asked_for_when_work_waits():
    growth = Growth(least=0, most=3, asked=0)
    growth.look(0.0, waiting=0, running=1, workers=0)
    growth.look(1.0, waiting=1, running=1, workers=0)
    assert growth.look(2.0, waiting=1, running=1, workers=0) == 1


def test_workers_that_do_not_come_are_asked_for_again_and_again_while_work_waits():
    growth = Growth(least=1, most=5, asked=3)
    looks = {now: growth.look(now, waiting=1, running=1, workers=2) for now in range(12)}
    assert {now: asked for now, asked in looks.items() if asked} == {5: 3, 10: 3}
    assert growth.look(14.0, waiting=0, running=1, workers=0) is None
    assert growth.look(16.0, waiting=1, running=1, workers=0) is None
    assert growth.look(21.0, waiting=1, running=1, workers=0) == 3


def test_a_cluster_is_not_reminded_of_workers_that_are_there_again():
    reminder = Reminder()
    assert not reminder.due(0.0, missing=True)
    assert not reminder.due(4.0, missing=False)
    assert not reminder.due(6.0, missing=True)
    assert reminder.due(11.0, missing=True)
