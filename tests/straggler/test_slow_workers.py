"""Workers that make everything slow are found, rest where that gains something, and are tried again."""

import math

import pytest

from asyncexec.straggler.slow_workers import LEAST_REST, MOST_SHARE, SlowWorkers

REST = 20.0
LONG_QUEUE, NO_QUEUE = 50.0, 0.0


def report(watch, worker, p, ratio=1.0, *, now=0.0, rest=REST, beaten=False):
    watch.ended(worker, p, math.log(ratio), rest_seconds=rest, beaten=beaten, now=now)


def watched(*slow, size=12, ratio=5.0, now=0.0, **options):
    """Return the evidence of a crew, some of whom are slow, after the reports by which these are found."""
    watch = SlowWorkers()
    for number in range(size):
        report(watch, f"w{number}", 0.5)
    for _ in range(5):
        for worker in slow:
            report(watch, worker, 0.002, ratio, now=now, **options)
    return watch


def test_a_worker_all_of_whose_tasks_are_among_the_longest_is_found():
    watch = watched("w3")
    assert watch.changed
    assert watch.resting(0.0, NO_QUEUE) == {"w3"}
    assert not watch.changed
    assert list(watch.found) == ["w3"]
    assert watch.found["w3"] == pytest.approx(5.0, rel=0.3)


def test_one_slow_task_does_not_make_a_slow_worker():
    watch = watched()
    for _ in range(20):
        report(watch, "w1", 0.5)
    report(watch, "w1", 0.0001, 40.0)
    assert not watch.found


def test_a_few_workers_need_less_evidence_than_many():
    def tasks_until_found(size):
        watch = watched(size=size)
        for tasks in range(1, 20):
            report(watch, "w0", 0.02, 5.0)
            if watch.found:
                return tasks
        raise AssertionError("not found")

    assert 3 <= tasks_until_found(8) < tasks_until_found(1000) <= 8


def test_a_worker_that_is_a_little_slower_than_others_is_not_slow_however_sure_that_is():
    assert not watched("w3", ratio=1.2).found


@pytest.mark.parametrize("slow", [3, 4, 8, 12])
def test_no_more_than_a_share_of_the_workers_is_slow(slow):
    watch = watched(*(f"w{n}" for n in range(slow)))
    assert len(watch.resting(0.0, NO_QUEUE)) <= MOST_SHARE * 12
    assert slow > 3 or len(watch.found) == slow


def test_where_all_tasks_get_longer_it_is_the_work_and_not_the_workers():
    watch = SlowWorkers()
    for _ in range(30):
        for number in range(12):
            report(watch, f"w{number}", 0.01, 3.0)
    assert not watch.found


def test_a_slow_worker_works_on_while_others_would_not_end_its_task_sooner():
    watch = watched("w3", ratio=5.0)
    assert watch.resting(0.0, LONG_QUEUE) == frozenset()
    assert watch.is_due(0.0)
    assert watch.resting(1.0, 4.5) == frozenset()
    assert watch.resting(2.0, 2.5) == {"w3"}
    assert not watch.is_due(2.0)
    assert watch.resting(3.0, LONG_QUEUE) == {"w3"}, "it does not change its mind"


def test_a_slow_worker_rests_at_once_where_backups_beat_it():
    assert watched("w3", beaten=True).resting(0.0, LONG_QUEUE) == {"w3"}


def test_a_worker_is_tried_again_after_its_rest_and_rests_longer_if_it_is_still_slow():
    watch = watched("w3")
    assert watch.next_change == math.inf, "it works on until it is asked about"
    assert watch.resting(0.0, NO_QUEUE) == {"w3"}
    assert watch.next_change == REST
    assert watch.resting(REST, NO_QUEUE) == frozenset()
    for _ in range(3):
        report(watch, "w3", 0.002, 5.0, now=REST)
    assert watch.resting(REST, NO_QUEUE) == {"w3"}
    assert watch.next_change == REST + 2 * REST


def test_a_worker_that_has_recovered_while_it_worked_on_is_let_back_at_once():
    watch = watched("w3", rest=100.0)
    assert watch.resting(1.0, LONG_QUEUE) == frozenset()
    for _ in range(3):
        report(watch, "w3", 0.5, 1.0, now=2.0)
    assert watch.changed
    assert watch.resting(2.0, NO_QUEUE) == frozenset()
    assert watch.next_change == math.inf


def test_a_worker_that_was_well_for_long_is_found_when_it_becomes_slow():
    watch = watched()
    for _ in range(200):
        report(watch, "w3", 0.5)
    for _ in range(6):
        report(watch, "w3", 0.002, 5.0)
    assert "w3" in watch.found


def test_attempts_that_run_count_by_their_ages():
    watch = watched()
    while not watch.wants_ages:
        report(watch, "w3", 0.02, 5.0)
    assert not watch.found
    watch.running({"w3": [(0.001, math.log(5.0))] * 2}, rest_seconds=0.1, now=7.0)
    assert list(watch.found) == ["w3"]
    assert watch.resting(7.0, NO_QUEUE) == {"w3"}
    assert watch.next_change == 7.0 + LEAST_REST


def hosts_of(hosts=4, each=3):
    return [f"host-{host}:{number}" for host in range(hosts) for number in range(each)]


def test_a_host_that_stops_is_found_by_the_ages_of_all_its_attempts_in_one_decision():
    watch = SlowWorkers()
    for worker in hosts_of():
        report(watch, worker, 0.5)
    stuck = {w: [(0.005, math.log(4.0))] for w in hosts_of() if w.startswith("host-1:")}
    watch.running({"host-1:0": stuck["host-1:0"]}, rest_seconds=REST, now=1.0)
    assert not watch.found, "one of them says little"
    watch.running(stuck, rest_seconds=REST, now=1.0)
    assert watch.found.keys() == stuck.keys()
    assert watch.resting(1.0, NO_QUEUE) == stuck.keys()


def test_backups_keep_apart_from_the_host_of_an_attempt_and_from_slow_workers():
    watch = SlowWorkers()
    for worker in hosts_of():
        report(watch, worker, 0.5)
    assert watch.apart_from({"host-1:0"}) == {"host-1:0", "host-1:1", "host-1:2"}
    for _ in range(6):
        report(watch, "host-3:1", 0.002, 5.0)
    assert watch.apart_from({"host-1:0"}) >= {"host-1:2", "host-3:1"}


def test_where_one_host_is_all_there_is_a_backup_keeps_apart_from_the_worker_alone():
    watch = SlowWorkers()
    for worker in hosts_of(hosts=1):
        report(watch, worker, 0.5)
    assert watch.apart_from({"host-0:1"}) == {"host-0:1"}
