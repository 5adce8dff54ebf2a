"""What-if goes by what happened in the recorded run, and promises nothing where its model is far off."""

import statistics
from itertools import product

import numpy as np
import pytest

import asyncexec as ax
from asyncexec.histories import read_run
from asyncexec.simulation import ByTask, Cluster, Lognormal, Noise, simulate
from asyncexec.simulation.comparison import Variant
from asyncexec.simulation.what_if import MOST_ERROR, what_if
from tests.histories.made_history import row, simulated_history, write_history

TASKS, WORKERS, SECONDS = 96, 12, 10.0
PLAN = ax.Plan.map(abs, range(TASKS), name="nap")
WEIBULL = ByTask(SECONDS * np.random.default_rng(3).weibull(0.7, TASKS) + 0.5)
GROWING = ByTask(SECONDS * np.linspace(0.2, 2.0, TASKS))
CASES = {
    "attempts": (Cluster(workers=WORKERS), SECONDS, Noise(slow_share=0.05, slow_factors=(4.0, 8.0))),
    "spread attempts": (Cluster(workers=WORKERS), SECONDS, Noise(factor=Lognormal(sigma=0.6))),
    "workers": (Cluster(workers=WORKERS, slowness=(5.0, *[1.0] * 11)), SECONDS, Noise()),
    "cold starts": (Cluster(workers=WORKERS, warm_up="lognormal:20,0.2"), SECONDS, Noise()),
    "by nature": (Cluster(workers=WORKERS), WEIBULL, Noise()),
    "growing": (Cluster(workers=WORKERS), GROWING, Noise()),
    "late workers": (Cluster(workers=WORKERS, lead_seconds=20.0, arrival_per_second=1.0), SECONDS, Noise()),
}  # fmt: skip


def median_makespan(cluster, durations, noise, rule):
    runs = [
        simulate(PLAN, cluster, durations=durations, noise=noise, straggler=rule, seed=seed)
        for seed in range(20, 25)
    ]
    return statistics.median(run.makespan_seconds for run in runs)


QUICK = {("attempts", "two_phase"), ("workers", "off"), ("cold starts", "off"), ("by nature", "two_phase"),
         ("growing", "off"), ("late workers", "off")}  # fmt: skip


@pytest.mark.parametrize(
    "case, recorded",
    [
        pytest.param(*each, marks=() if each in QUICK else pytest.mark.slow)
        for each in product(CASES, ("off", "two_phase"))
    ],
)
def test_what_is_promised_elsewhere_is_near_to_what_comes(case, recorded, tmp_path):
    cluster, durations, noise = CASES[case]
    run = simulated_history(
        tmp_path / "run", PLAN, cluster, rule=recorded, durations=durations, noise=noise, seed=5
    )
    for workers, rule in ((WORKERS, "off"), (WORKERS, "two_phase"), (2 * WORKERS, "off")):
        told = what_if(run, {"workers": workers}, [Variant(rule)], range(5))
        assert not told.refused
        expected = told.there.rows[0].spread("makespan_seconds")
        there = {name: getattr(cluster, name) for name in cluster.__slots__} | {"workers": workers}
        comes = median_makespan(Cluster(**there), durations, noise, rule)
        both_ends = not all(part.known for part in told.stages.values())
        near = abs(expected.median / comes - 1) <= 0.15
        inside = both_ends and 0.9 * expected.least <= comes <= 1.1 * expected.most
        assert near or inside, (workers, rule, expected, comes)


def test_tasks_that_are_long_in_other_runs_too_are_so_by_nature_and_no_backup_cures_them(tmp_path):
    for name, seed in (("one", 1), ("two", 2)):
        run = simulated_history(
            tmp_path / name, PLAN, Cluster(workers=WORKERS), durations=WEIBULL, seed=seed
        )
    told = what_if(run, {}, [Variant("off"), Variant("two_phase")], range(3))
    assert told.others == 1
    assert told.stages["nap"].known
    assert told.stages["nap"].blamed_on_attempts < 0.1
    off, backed = told.there.rows
    assert backed.spread("makespan_seconds").median >= 0.97 * off.spread("makespan_seconds").median


def test_what_a_backend_cannot_do_it_cannot_do_elsewhere(tmp_path):
    cluster = Cluster(workers=WORKERS, kills=False, holds=False, avoids=False)
    run = simulated_history(tmp_path / "run", PLAN, cluster, durations=SECONDS)
    there = what_if(run, {"workers": 40}, [Variant("off")], [0]).there.case.cluster
    assert (there.workers, there.kills, there.holds, there.avoids) == (40, False, False, False)
    there = what_if(run, {"kills": True}, [Variant("off")], [0]).there.case.cluster
    assert (there.workers, there.kills) == (WORKERS, True)


def test_the_model_runs_under_the_rule_and_the_order_of_the_recorded_run(tmp_path):
    figures = {"straggler": "late", "barriers": True}
    run = simulated_history(
        tmp_path / "run", PLAN, Cluster(workers=WORKERS), durations=SECONDS, figures=figures
    )
    assert what_if(run, {}, [Variant("off")], [0]).here.rows[0].variant == Variant("late", True)


def test_time_that_no_attempt_explains_is_not_promised_away(tmp_path):
    """Tiny tasks in a long run: 180 of 2 ms on four workers, in 3 s, most of which the driver took in between."""
    rows = [
        row("tiny", task, 0.002, at=0.9 + 0.0115 * task, worker=f"w{task % 4}")
        for task in range(180)
    ]
    folder = write_history(
        tmp_path / "run", rows, shapes={"tiny": (180,)}, slots=4, wall_seconds=3.14
    )
    told = what_if(read_run(folder), {"workers": 400}, [Variant("off")], [0])
    assert abs(told.model_error) <= MOST_ERROR
    faster = 3.14 / told.there.rows[0].spread("makespan_seconds").median
    assert faster < 3.2, "starting and ending take 1.1 s whatever the workers"


def test_a_model_that_is_far_off_promises_nothing_and_says_why(tmp_path):
    """The tasks pause together in a way that no cause explains: whatever the model takes, it is not that."""
    rows = [
        row("odd", task, 1.0, at=task // 4 + 30.0 * (task >= 12), worker=f"w{task % 4}-{task}")
        for task in range(24)
    ]
    folder = write_history(
        tmp_path / "run", rows, shapes={"odd": (24,)}, slots=4, wall_seconds=36.0
    )
    told = what_if(read_run(folder), {"workers": 8}, [Variant("off")], [0])
    assert abs(told.model_error) > MOST_ERROR
    assert "no more than 25%" in told.refused
    assert told.as_json()["refused"] == told.refused


def test_a_part_of_a_plan_has_no_model_error_and_is_not_refused(tmp_path):
    rows = [row("half", task, 1.0, at=float(task)) for task in range(5)]
    folder = write_history(
        tmp_path / "run", rows, shapes={"half": (10,)}, slots=1, wall_seconds=5.0,
        status="cancelled",
    )  # fmt: skip
    told = what_if(read_run(folder), {}, [Variant("off")], [0])
    assert (told.model_error, told.refused) == (None, "")


def test_a_stage_without_tasks_needs_no_durations(tmp_path):
    rows = [row("some", task, 1.0, at=float(task)) for task in range(5)]
    folder = write_history(
        tmp_path / "run", rows, shapes={"some": (5,), "none": (0,)}, slots=1, wall_seconds=5.0
    )
    told = what_if(read_run(folder), {}, [Variant("off")], [0])
    assert told.model_error == pytest.approx(0.0, abs=0.01)


def test_nothing_to_do_takes_what_it_took(tmp_path):
    folder = write_history(tmp_path / "run", [], shapes={"none": (0,)}, slots=1, wall_seconds=0.2)
    assert what_if(read_run(folder), {}, [Variant("off")], [0]).model_error == pytest.approx(0.0)


def test_tasks_are_tried_as_often_as_in_the_run(tmp_path):
    """Two in three attempts fail, which is more than the usual four attempts of a task can bear."""
    rows = [
        row("flaky", task, 1.0, at=3.0 * task + number, number=number + 1,
            status="succeeded" if number == 2 else "failed")
        for task in range(40) for number in range(3)
    ]  # fmt: skip
    figures = {"retry_attempts": 50, "retry_base_seconds": 0.0}
    folder = write_history(
        tmp_path / "run", rows, shapes={"flaky": (40,)}, slots=1, wall_seconds=120.0,
        figures=figures,
    )  # fmt: skip
    told = what_if(read_run(folder), {}, [Variant("off")], [0])
    assert told.here.rows[0].runs[0].retries > 40
    assert abs(told.model_error) < 0.25
