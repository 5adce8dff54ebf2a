"""From a history it is explained when and why a task got a backup or none, by the rule that decided then."""

import json

import pytest

import asyncexec as ax
from asyncexec.cli import main
from asyncexec.errors import OptionError
from asyncexec.histories import read_run
from asyncexec.simulation import Cluster
from asyncexec.simulation.explanation import explain_task
from tests.histories.made_history import row, simulated_history, write_history

PLAN = ax.Plan.map(abs, range(80), name="nap")


def one_slow(attempt):
    return 200.0 if (attempt.task, attempt.number) == (41, 1) else 10.0


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    return simulated_history(folder, PLAN, Cluster(workers=10), rule="two_phase", noise=one_slow)


def test_a_task_that_got_a_backup_is_explained_with_the_figures_of_that_moment(run):
    told = explain_task(run, "nap:41")
    assert (told.stage, told.task, told.rule) == ("nap", 41, "two_phase")
    assert [(each.number, each.backup, each.status) for each in told.recorded] == [
        (1, False, "cancelled"), (2, True, "succeeded"),
    ]  # fmt: skip
    [given] = [each for each in told.considered if each.started]
    assert given.verdict == "it gets a backup"
    assert given.age_seconds >= given.slow_age_seconds > 10.0
    assert given.remaining_seconds is None, "no attempt of the stage took so long"
    assert given.copy_seconds == pytest.approx(10.0, rel=0.05)
    assert (given.attempts, given.running_backups) == (1, 0)
    assert given.backups >= 1
    assert given.ground
    sent = told.recorded[1].started
    assert given.at == pytest.approx(sent, abs=10.0), "about when the run sent it"


def test_before_that_it_was_too_young(run):
    told = explain_task(run, "nap:41")
    first = told.considered[0]
    assert "younger" in first.verdict
    assert first.age_seconds < first.slow_age_seconds
    times = [each.at for each in told.considered]
    assert times == sorted(times)
    assert all(each.at <= each.until for each in told.considered)


def test_a_quick_task_got_none(run):
    told = explain_task(run, "nap:12")
    assert len(told.recorded) == 1
    assert not any(each.started for each in told.considered)


def test_another_rule_may_be_asked(run):
    assert not any(each.started for each in explain_task(run, "nap:41", rule="off").considered)
    told = explain_task(run, "nap:41", rule="late")
    assert told.rule == "late"
    assert any(each.started for each in told.considered)


def test_a_worker_that_was_left_idle_is_left_idle_in_the_replay_at_about_that_time(
    tmp_path, capsys
):
    """The attempts of its history ran on it and are slow on no other, so that the replay finds it too."""
    cluster = Cluster(workers=10, workers_per_host=1, slowness=(6.0, *[1.0] * 9))
    plan = ax.Plan.map(abs, range(400), name="nap")
    run = simulated_history(
        tmp_path / "run", plan, cluster, rule="two_phase", durations=10.0, seed=1
    )
    attempts = run.stages[0].attempts
    longest = str(attempts.worker[attempts.seconds.argmax()])
    told = explain_task(run, "nap:399")
    [slow] = told.slow_workers
    assert slow.worker == longest
    assert slow.ratio == pytest.approx(6.0, rel=0.2)
    assert slow.rested
    idle_at = slow.rested[0]
    began = attempts.started[attempts.worker == longest]
    assert not ((began > idle_at + 1.0) & (began < idle_at + 60.0)).any(), "nothing began on it"
    assert main(["simulate", str(run.folder), "--explain", "nap:399"]) == 0
    assert f"{longest}: 6" in capsys.readouterr().out


def test_a_backup_that_never_got_a_worker_takes_none_in_the_replay(tmp_path):
    """All workers were busy to the end: what was sent in vain cost nothing."""
    rows = [row("nap", task, 1.0, at=float(task // 2), worker=f"w{task % 2}") for task in range(20)]
    rows.append(row("nap", 20, 9.0, at=10.0, worker="w0"))
    rows += [row("nap", task, 1.0, at=task - 11.0, worker="w1") for task in range(21, 30)]
    folder = write_history(
        tmp_path / "run", rows, shapes={"nap": (30,)}, slots=2, wall_seconds=19.0,
        figures={"straggler": "two_phase"},
    )  # fmt: skip
    told = explain_task(read_run(folder), "nap:20")
    assert len(told.recorded) == 1
    assert told.considered[-1].until == pytest.approx(18.5, abs=0.6), "it ended when it did"


def test_a_task_is_named_by_its_index_along_the_axes_as_well(tmp_path):
    rows = [row("mean", task, 1.0, at=float(task)) for task in range(6)]
    folder = write_history(
        tmp_path / "run", rows, shapes={"mean": (3, 2)}, slots=1, wall_seconds=6.0
    )
    run = read_run(folder)
    assert explain_task(run, "mean:2,1").task == explain_task(run, "mean:5").task == 5
    assert explain_task(run, "5").task == 5


@pytest.mark.parametrize(
    "task, hint",
    [
        ("nab:3", "did you mean 'nap:3'"),
        ("nap:80", "did you mean 'nap:79'"),
        ("nap:-1", "tasks 0 to 79"),
        ("nap:x", "tasks 0 to 79"),
        ("other", "the stages are nap"),
    ],
)
def test_a_task_that_is_not_there_is_answered_with_the_nearest(run, task, hint):
    with pytest.raises(OptionError, match=hint):
        explain_task(run, task)


def test_the_command_explains_in_words_and_in_json(run, capsys):
    assert main(["simulate", str(run.folder), "--explain", "nap:41"]) == 0
    out = capsys.readouterr().out
    assert "nap:41 under the rule two_phase" in out
    assert "it gets a backup" in out
    assert "The run started 1 backup of it, and so does the replay." in out
    assert main(["simulate", "--history", str(run.folder), "--explain", "nap:41", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["task"] == 41
    assert any(each["started"] for each in told["considered"])


def test_what_says_nothing_with_an_explanation_is_refused(run, capsys):
    for more in ("--workers 3", "--set cluster.kills=false", "--rule off --rule late"):
        assert main(["simulate", str(run.folder), "--explain", "nap:41", *more.split()]) == 2
        assert "--explain takes a history" in capsys.readouterr().err
    assert main(["simulate", "--explain", "nap:41"]) == 2
    assert "--explain takes a history" in capsys.readouterr().err
