"""A simulated run goes as a real one would: exactly where nothing is random, and the same each time where it is."""

import math

import pytest
from hypothesis import assume, given, strategies as st

import asyncexec as ax
from asyncexec.errors import BackendError, MemoryBudgetError, OptionError, StalledError
from asyncexec.events.outcome import Status
from asyncexec.plan.relations import identity
from asyncexec.plan.stage import Read, Stage
from asyncexec.simulation import (
    Cluster,
    Constant,
    Empirical,
    Lognormal,
    Mixture,
    Noise,
    Pareto,
    simulate,
)
from asyncexec.straggler import Off

SLOW = Noise(slow_share=0.02)


def flat(tasks):
    return ax.Plan.map(abs, range(tasks), name="flat")


def chain(tasks, *names):
    stages = [Stage(name=names[0], kernel=max, shape=(tasks,))]
    for name in names[1:]:
        read = (Read(stages[-1].name, identity((tasks,))),)
        stages.append(Stage(name=name, kernel=max, shape=(tasks,), inputs=read))
    return ax.Plan(tuple(stages))


def test_without_noise_equal_tasks_take_as_many_rounds_as_they_need():
    told = simulate(flat(250), Cluster(workers=100), durations=10.0)
    assert told.makespan_seconds == pytest.approx(30.0)
    assert told.ideal_seconds == pytest.approx(25.0)
    assert told.slot_seconds == pytest.approx(2500.0)
    assert (told.tasks, told.attempts, told.backups, told.wasted_seconds) == (250, 250, 0, 0.0)


@pytest.mark.parametrize("barriers, seconds", [(False, 30.0), (True, 40.0)])
def test_chunks_flow_through_stages_without_barriers_and_wait_with_them(barriers, seconds):
    told = simulate(chain(150, "a", "b"), Cluster(workers=100), durations=10.0, barriers=barriers)
    assert told.makespan_seconds == pytest.approx(seconds)


def test_the_same_seed_gives_the_same_run_and_another_another():
    def run(seed):
        noise = Noise(factor=Lognormal(sigma=0.6), hang_share=0.01, failure_share=0.05)
        cluster = Cluster(workers=20, loss_per_hour=5.0, cold_start_seconds=3.0, slow_share=0.1)
        told = simulate(flat(300), cluster, durations=10.0, noise=noise, timeout=600, seed=seed)
        return {k: v for k, v in told.as_json().items() if "per_second" not in k and k != "seconds"}

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_rules_are_compared_on_the_same_tasks_and_the_same_first_attempts():
    bars = [
        {
            b.task: b.end - b.begin
            for b in simulate(
                flat(200), Cluster(workers=50), noise=SLOW, straggler=rule, seed=3, bars=True
            ).bars
            if b.status is Status.SUCCEEDED
        }
        for rule in ("off", "spark")
    ]
    differing = [task for task in bars[0] if bars[0][task] != pytest.approx(bars[1][task])]
    assert len(differing) < 20, "only those that a backup finished"


def test_backups_make_up_for_slow_attempts():
    without = simulate(
        flat(1000), Cluster(workers=100), durations=10.0, noise=SLOW, straggler=False
    )
    told = simulate(flat(1000), Cluster(workers=100), durations=10.0, noise=SLOW)
    assert told.makespan_seconds < 0.8 * without.makespan_seconds
    assert told.useful_backups <= told.backups
    assert told.useful_backups > 0


def test_a_hang_ends_by_its_timeout_or_by_a_backup():
    noise = Noise(hang_share=0.01)
    off = simulate(flat(500), durations=10.0, noise=noise, straggler=False, timeout=300.0, retry=9)
    backed = simulate(flat(500), durations=10.0, noise=noise, timeout=300.0)
    assert off.makespan_seconds >= 300.0
    assert backed.makespan_seconds < 150.0


def test_a_hang_that_nothing_ends_is_an_error_that_says_so():
    hanging = Noise(hang_share=1.0)
    with pytest.raises(StalledError, match="timeout"):
        simulate(flat(3), noise=hanging, straggler=False)
    with pytest.raises(BackendError, match="kills=True"):
        simulate(flat(3), Cluster(workers=2, kills=False), noise=hanging, timeout=5.0)


def test_failures_are_tried_again():
    told = simulate(flat(500), noise=Noise(failure_share=0.1), retry=9)
    assert told.retries > 20
    assert told.attempts >= 500 + told.retries


def test_slow_workers_cold_starts_and_ramps_take_their_time():
    base = simulate(flat(400), Cluster(workers=100), durations=10.0)
    slow = Cluster(workers=100, slow_share=0.05, slow_factor=4.0)
    assert simulate(flat(400), slow, durations=10.0, straggler=False).makespan_seconds > 50.0
    ramp = Cluster(workers=100, arrival_per_second=10.0)
    assert simulate(flat(400), ramp, durations=10.0).makespan_seconds > base.makespan_seconds
    cold = Cluster(workers=100, cold_start_seconds=20.0)
    assert simulate(flat(400), cold, durations=10.0).makespan_seconds >= 50.0
    limited = Cluster(workers=100, starts_per_second=5.0)
    assert simulate(flat(400), limited, durations=10.0).makespan_seconds >= 80.0
    far = Cluster(workers=100, latency_seconds=1.0)
    assert simulate(flat(400), far, durations=10.0).makespan_seconds >= 42.0


def test_lost_workers_cost_their_attempts_and_no_more():
    told = simulate(flat(300), Cluster(workers=30, loss_per_hour=60.0), durations=20.0, retry=20)
    assert told.lost_workers > 0
    assert told.tasks == 300


def test_what_cannot_be_killed_holds_its_worker():
    heavy = Noise(factor=Pareto(exponent=1.1))
    kills = simulate(flat(300), Cluster(workers=60), noise=heavy, seed=5)
    holds = simulate(flat(300), Cluster(workers=60, kills=False), noise=heavy, seed=5)
    assert holds.backups <= kills.backups
    assert holds.makespan_seconds >= kills.makespan_seconds * 0.9


def test_prices_are_for_time_and_for_starts():
    cluster = Cluster(workers=10, price_per_hour=3.6, price_per_start=0.5)
    assert simulate(flat(20), cluster, durations=10.0).cost == pytest.approx(0.2 + 10.0)


@pytest.mark.parametrize(
    "billing, seconds",
    [
        ({}, 200.0),
        ({"billed_step_seconds": 7.0}, 20 * 14.0),
        ({"billed_step_seconds": 5.0}, 200.0),
        ({"billed_least_seconds": 60.0}, 20 * 60.0),
        ({"billed": "workers"}, 200.0),
        ({"billed": "workers", "billed_least_seconds": 60.0}, 10 * 60.0),
        ({"billed": "workers", "billed_step_seconds": 15.0}, 10 * 30.0),
        # The last of them comes up after 9 s and has two tasks: it is 29 s until all can go.
        ({"billed": "workers", "arrival_per_second": 1.0}, 10 * 29.0 - 45.0),
        # The first has 10 tasks when the second comes up; they share the others, for 150 s and 50 s.
        ({"billed": "workers", "arrival_per_second": 0.01}, 150.0 + 50.0),
    ],
)  # fmt: skip
def test_what_is_billed_is_attempts_or_workers_with_a_least_time_and_a_step(billing, seconds):
    told = simulate(flat(20), Cluster(workers=10, price_per_hour=3600.0, **billing), durations=10.0)
    assert told.billed_seconds == pytest.approx(seconds)
    assert told.cost == pytest.approx(seconds)


def test_workers_that_are_lost_are_billed_until_then():
    cluster = Cluster(workers=20, loss_per_hour=60.0, billed="workers")
    told = simulate(flat(200), cluster, durations=10.0, seed=2)
    assert told.lost_workers > 5
    assert told.billed_seconds == pytest.approx(20 * told.makespan_seconds)


def test_percentiles_are_exact():
    told = simulate(
        flat(1000), durations=Lognormal(mean_seconds=10.0, sigma=0.5), seed=4, bars=True
    )
    seconds = sorted(bar.end - bar.begin for bar in told.bars if bar.status is Status.SUCCEEDED)
    assert told.percentiles["p50"] == pytest.approx(seconds[499])
    assert told.percentiles["p99"] == pytest.approx(seconds[989])


@pytest.mark.parametrize("sigma", [0.0, 0.5, 1.5])
def test_nothing_is_faster_than_the_ideal_also_where_some_workers_are_fast(sigma):
    told = simulate(flat(2000), Cluster(workers=50, speed_sigma=sigma), durations=10.0, seed=1)
    assert told.ideal_seconds <= told.makespan_seconds
    assert told.efficiency > 0.2


def test_workers_that_are_not_replaced_become_fewer():
    lost = {"workers": 40, "loss_per_hour": 20.0, "billed": "workers"}
    stays = simulate(flat(400), Cluster(**lost), durations=10.0, seed=3)
    shrinks = simulate(flat(400), Cluster(**lost, replaced=False), durations=10.0, seed=3)
    assert 0 < shrinks.lost_workers < 40
    assert shrinks.makespan_seconds > stays.makespan_seconds
    assert shrinks.billed_seconds < 40 * shrinks.makespan_seconds
    assert shrinks.slot_seconds <= shrinks.billed_seconds


def test_a_run_whose_workers_are_all_lost_for_good_is_an_error():
    with pytest.raises(BackendError, match="every worker is lost"):
        simulate(flat(50), Cluster(workers=2, loss_per_hour=600.0, replaced=False), durations=10.0)


def test_workers_that_are_lost_faster_than_tasks_end_are_an_error():
    with pytest.raises(BackendError, match="no attempt ends any more"):
        simulate(flat(5), Cluster(workers=5, loss_per_hour=1e9), durations=10.0)


def test_memory_is_admitted_as_in_a_real_run():
    plan = ax.Plan.map(abs, range(40), memory="1GB")
    told = simulate(plan, Cluster(workers=40, memory_bytes=10_000_000_000), durations=10.0)
    assert told.makespan_seconds == pytest.approx(40.0)
    assert told.peak_bytes == 10_000_000_000
    with pytest.raises(MemoryBudgetError):
        simulate(plan, Cluster(memory_bytes=1000))


def test_a_reduction_waits_for_what_it_reads():
    told = simulate(flat(64).reduce(sum), Cluster(workers=64), durations=5.0)
    assert told.makespan_seconds == pytest.approx(10.0)


def test_durations_are_given_stage_by_stage():
    plan = chain(10, "a", "b")
    told = simulate(plan, durations={"a": Constant(1.0), "b": Constant(5.0)})
    assert told.makespan_seconds == pytest.approx(6.0)
    with pytest.raises(OptionError, match="stage 'b'"):
        simulate(plan, durations={"a": Constant(1.0)})


def test_sizes_of_a_stage_that_is_not_there_are_refused():
    class Even:
        def nbytes(self, index):
            return 1

    assert simulate(flat(3), sizes={"flat": Even()}).tasks == 3
    with pytest.raises(OptionError, match="'other'; the stages are flat"):
        simulate(flat(3), sizes={"other": Even()})


@pytest.mark.parametrize(
    "make",
    [
        lambda: Constant(0.0),
        lambda: Lognormal(sigma=-1.0),
        lambda: Pareto(most=1.0),
        lambda: Mixture(((0.5, Constant(1.0)),)),
        lambda: Empirical([]),
        lambda: Empirical([1.0, math.inf]),
        lambda: Noise(slow_share=1.5),
        lambda: Noise(slow_factors=(5.0, 2.0)),
        lambda: Cluster(workers=0),
        lambda: Cluster(latency_seconds=-1.0),
        lambda: Cluster(starts_per_second=0.0),
    ],
)
def test_a_figure_that_cannot_be_is_refused(make):
    with pytest.raises(OptionError, match="simulation"):
        make()


@given(
    tasks=st.integers(1, 60),
    workers=st.integers(1, 20),
    kills=st.booleans(),
    rule=st.sampled_from(["off", "two_phase", "cubed", "spark", "late"]),
    noise=st.builds(
        Noise,
        slow_share=st.sampled_from([0.0, 0.2]),
        failure_share=st.sampled_from([0.0, 0.2]),
        hang_share=st.sampled_from([0.0, 0.05]),
    ),
    loss=st.sampled_from([0.0, 30.0]),
    latency=st.sampled_from([0.0, 0.3]),
    seed=st.integers(0, 1000),
)
def test_every_run_comes_to_its_end_with_each_task_done_once(
    *, tasks, workers, kills, rule, noise, loss, latency, seed
):
    assume(kills or not noise.hang_share)  # or every worker may come to be held
    cluster = Cluster(workers=workers, kills=kills, loss_per_hour=loss, latency_seconds=latency)
    told = simulate(
        chain(tasks, "a", "b"),
        cluster,
        durations=10.0,
        noise=noise,
        straggler=rule,
        timeout=100.0,
        retry=1000,
        seed=seed,
        bars=True,
    )
    assert told.makespan_seconds >= told.ideal_seconds - 1e-6
    done = {(b.stage, b.task) for b in told.bars if b.status is Status.SUCCEEDED}
    assert len(done) == 2 * tasks


def test_slow_workers_are_found_and_get_none_of_the_last_tasks():
    cluster = Cluster(workers=50, slow_share=0.06, slow_factor=5.0)
    durations = Lognormal(mean_seconds=10.0, sigma=0.1)
    rests, off = (
        simulate(flat(1500), cluster, durations=durations, straggler=rule, seed=2, bars=True)
        for rule in (Off(rests_workers=True), Off())
    )
    slow = {b.worker for b in rests.bars if b.end - b.begin > 30}
    assert rests.slow_workers == len(slow) > 0
    assert off.slow_workers == 0
    assert max(b.end for b in off.bars if b.worker in slow) == off.makespan_seconds
    assert rests.makespan_seconds < off.makespan_seconds
    assert max(b.end for b in rests.bars if b.worker in slow) < rests.makespan_seconds


def test_where_all_workers_are_alike_none_is_found_slow():
    noise = Noise(factor=Lognormal(sigma=0.3), slow_share=0.02)
    assert simulate(flat(2000), Cluster(workers=50), durations=10.0, noise=noise).slow_workers == 0
