"""Tasks that kill their workers."""

from hypothesis import given, strategies as st

from asyncexec.policies.poison import PoisonWatch


def test_two_deaths_of_one_worker_do_not_poison_a_task_and_two_workers_do():
    watch = PoisonWatch()
    assert not watch.lost("task", "a")
    assert not watch.lost("task", "a")
    assert watch.lost("task", "b")
    assert watch.workers("task") == ("a", "b")


def test_workers_without_a_name_blame_nobody():
    watch = PoisonWatch()
    assert not any(watch.lost("task", "") for _ in range(10))
    assert len(watch) == 0


def test_a_task_that_is_over_is_forgotten():
    watch = PoisonWatch()
    watch.lost("task", "a")
    watch.forget("task")
    watch.forget("unknown")
    assert len(watch) == 0
    assert not watch.lost("task", "b")


@given(
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["", "a", "b", "c"]))), st.integers(1, 4)
)
def test_a_task_is_poison_when_so_many_named_workers_died_under_it(deaths, limit):
    watch = PoisonWatch(limit)
    seen: dict[int, set[str]] = {}
    for task, worker in deaths:
        poison = watch.lost(task, worker)
        if worker:
            seen.setdefault(task, set()).add(worker)
        assert poison == (bool(worker) and len(seen[task]) >= limit)
    assert len(watch) == len(seen)
