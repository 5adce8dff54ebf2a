"""A function of time, worker, host, task and attempt says how long attempts take in a simulation."""

import math

import pytest

import asyncexec as ax
from asyncexec.errors import OptionError
from asyncexec.simulation import Cluster, Noise, SimulatedAttempt, simulate
from asyncexec.simulation.comparison import Case, Variant, compare


def flat(tasks):
    return ax.Plan.map(abs, range(tasks), name="flat")


def test_the_function_sees_every_start_of_an_attempt():
    seen: list[SimulatedAttempt] = []

    def watch(attempt):
        seen.append(attempt)
        return attempt.seconds

    plan = flat(6).then(bool)
    cluster = Cluster(workers=3, workers_per_host=2)
    told = simulate(plan, cluster, durations=10.0, noise=watch, straggler="off", seed=7)
    assert told.makespan_seconds == 40.0
    first = [(each.task, each.at) for each in seen if each.stage == "flat"]
    assert sorted(first) == [(task, 10.0 * (task // 3)) for task in range(6)]
    assert {(each.worker, each.host) for each in seen} == {(0, 0), (1, 0), (2, 1)}
    assert {(each.number, each.seconds, each.seed) for each in seen} == {(1, 10.0, 7)}
    assert {each.stage for each in seen} == {"flat", "bool"}


def test_the_function_is_given_what_all_other_noise_makes_of_an_attempt():
    def twice(attempt):
        return 2 * attempt.seconds

    noise = Noise(slow_share=1.0, slow_factors=(3.0, 3.0), function=twice)
    assert simulate(flat(5), Cluster(workers=5), durations=10.0, noise=noise).makespan_seconds == 60
    by_stage = {"flat": twice}
    assert simulate(flat(5), durations=10.0, noise=by_stage, straggler="off").makespan_seconds == 20


def test_chances_of_an_attempt_are_the_same_whatever_the_rule_and_the_workers():
    chances: dict[tuple[int, int], set[float]] = {}

    def draw(attempt):
        chance = attempt.random.random()
        assert attempt.random.random() != chance
        chances.setdefault((attempt.task, attempt.number), set()).add(chance)
        return attempt.seconds * (10 if chance < 0.1 else 1)

    case = Case(plan=flat(60), cluster=Cluster(workers=20), durations=10.0, noise=draw)
    compare(case, [Variant("off"), Variant("two_phase"), Variant("late")], [0])
    simulate(flat(60), Cluster(workers=7), durations=10.0, noise=draw)
    assert all(len(found) == 1 for found in chances.values())
    assert len(set.union(*chances.values())) == len(chances)
    assert max(number for _, number in chances) > 1, "backups draw anew"


def test_an_infinite_answer_is_a_hang_that_a_backup_replaces():
    def hangs(attempt):
        return math.inf if (attempt.task, attempt.number) == (5, 1) else attempt.seconds

    told = simulate(flat(100), Cluster(workers=20), durations=10.0, noise=hangs)
    assert told.useful_backups == 1


@pytest.mark.parametrize("answer", [-1.0, math.nan, "soon", None])
def test_an_answer_that_is_no_time_is_refused_with_the_attempt(answer):
    with pytest.raises(OptionError, match=r"must return seconds.*task 0 of stage 'flat' on worker"):
        simulate(flat(3), noise=lambda attempt: answer)


def test_a_function_that_fails_is_named_with_the_attempt():
    def broken(attempt):
        return attempt.speed

    with pytest.raises(OptionError, match=r"broken failed for attempt 1 of task 0.*AttributeError"):
        simulate(flat(3), noise=broken)


def test_what_is_no_function_is_refused():
    with pytest.raises(OptionError, match="function must be a function"):
        Noise(function=3.0)
