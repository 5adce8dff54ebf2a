"""A recorded run that is simulated elsewhere comes with the causes to which its durations were put down."""

import pytest

import asyncexec as ax
from asyncexec.cli import main
from asyncexec.simulation import Cluster, Noise
from tests.histories.made_history import row, simulated_history, write_history

PLAN = ax.Plan.map(abs, range(96), name="nap")


def printed(capsys, folder, *more):
    arguments = ["simulate", "--history", str(folder), "--seeds", "1", "--rule", "off", *more]
    assert main(arguments) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def waves(extra):
    """32 attempts of 1 s on 4 workers, each a little later than on the one before; some take longer."""
    rows, ends = [], [0.01 * worker for worker in range(4)]
    for task in range(32):
        worker, seconds = task % 4, 1.0 + extra(task)
        rows.append(row("nap", task, seconds, at=ends[worker], worker=f"w{worker}"))
        ends[worker] += seconds
    return rows, max(ends)


def written(folder, rows, wall_seconds, **more):
    tasks = len({each["task"] for each in rows})
    shapes = {"nap": (more.pop("tasks", tasks),)}
    return write_history(folder, rows, shapes=shapes, slots=4, wall_seconds=wall_seconds, **more)


def test_a_time_at_which_everything_stood_still_is_named(capsys, tmp_path):
    folder = written(tmp_path / "run", *waves(lambda task: 9.0 * (12 <= task < 16)))
    assert "everything stood still from 3.03 s on, for 9 s" in printed(capsys, folder)


@pytest.mark.parametrize(
    "cluster, says",
    [
        (Cluster(workers=12, slowness=(5.0, *[1.0] * 11)), "x; they are dealt out at random"),
        (Cluster(workers=12, warm_up="lognormal:20,0.2"), "first attempts on workers took"),
    ],
)
def test_what_lay_with_workers_is_named(capsys, tmp_path, cluster, says):
    simulated_history(tmp_path / "run", PLAN, cluster, durations=10.0, seed=5)
    assert says in printed(capsys, tmp_path)


def test_slow_attempts_without_a_witness_are_simulated_both_ways(capsys, tmp_path):
    noise = Noise(slow_share=0.1, slow_factors=(4.0, 8.0))
    simulated_history(tmp_path / "run", PLAN, Cluster(workers=12), noise=noise, durations=10.0)
    out = printed(capsys, tmp_path)
    assert "of first attempts took over twice what was expected; no task had another attempt" in out
    assert "may be the attempts' doing, and both are simulated" in out


def test_durations_that_grow_along_a_stage_are_put_down_to_places(capsys, tmp_path):
    rows = [
        row("nap", task, 1.0 + task / 4, at=10.0 * task, worker=f"w{task}") for task in range(32)
    ]
    out = printed(capsys, written(tmp_path / "run", rows, 330.0))
    assert "of the spread is explained by the places and sizes of tasks" in out


def test_a_model_that_is_far_off_promises_nothing_and_says_what_took_the_time(capsys, tmp_path):
    """The tasks pause together in a way that no cause explains: whatever the model takes, it is not that."""
    rows = [
        row("nap", task, 1.0, at=task // 4 + 30.0 * (task >= 12), worker=f"w{task % 4}-{task}")
        for task in range(24)
    ]
    out = printed(capsys, written(tmp_path / "run", rows, 36.5))
    assert "Nothing is promised: the model takes" in out
    assert "Attempts took 6 s on each of 4 workers, 0 ms passed before the first and 500 ms" in out


def test_a_run_that_was_cut_short_is_said_to_be_a_part(capsys, tmp_path):
    rows = [row("nap", task, 1.0, at=float(task)) for task in range(5)]
    folder = written(tmp_path / "run", rows, 5.0, tasks=10, status="cancelled")
    out = printed(capsys, folder)
    assert "a part of the plan: the run was cancelled with 5 of 10 tasks complete." in out
