"""What the tasks are like is told from what happened to their attempts, where the run tells it."""

import numpy as np
import pytest

from asyncexec.histories import Attempts, RecordedStage, read_run
from asyncexec.histories.recorded import RUNS_ON
from asyncexec.histories.separation import separate, separate_run
from asyncexec.plan.outline import outline
from asyncexec.plan.relations import identity
from asyncexec.simulation import Cluster, simulate
from asyncexec.simulation.comparison import Case
from asyncexec.simulation.measured import measured_stage
from asyncexec.simulation.plans import staged
from tests.histories.made_history import row, write_history


def stage(*rows, shape=None):
    """A stage from rows of task, number, status, seconds and perhaps bytes."""
    task, number, status, seconds, *more = zip(*rows, strict=True)
    attempts = Attempts(
        task=np.array(task),
        number=np.array(number),
        backup=np.array(number) > 1,
        status=np.array(status),
        seconds=np.array(seconds, dtype=float),
        worker=np.array([f"w{place}" for place in range(len(task))]),
        started=np.zeros(len(task)),
        nbytes=np.array(more[0]) if more else np.zeros(len(task), dtype=int),
    )
    shape = shape or (max(task) + 1,)
    return RecordedStage(
        name="stage-1", shape=shape, projected_bytes=0, idempotent=True, reads=(),
        completed=len(set(task)), resumed=0, attempts=attempts,
    )  # fmt: skip


def quiet(tasks, seconds=1.0):
    return [(task, 1, "succeeded", seconds) for task in range(tasks)]


def slow_with_witnesses(second_seconds, slow=12, tasks=188):
    """Tasks whose first attempt was given up after 5 s, because another was done."""
    rows = quiet(tasks)
    for task in range(tasks, tasks + slow):
        rows += [(task, 1, "cancelled", 5.0), (task, 2, "succeeded", second_seconds)]
    return shuffled(rows, tasks + slow)


def shuffled(rows, tasks):
    """A stage of the rows, its tasks in random order, so that their places explain nothing."""
    places = np.random.default_rng(1).permutation(tasks)
    return stage(*((int(places[task]), *rest) for task, *rest in rows))


def taken(told, tasks, end=0, *, attempts=1, seed=0):
    """What so many attempts of each task take."""
    durations, noise = measured_stage(told, end)
    case = Case(
        plan=staged(1, tasks), cluster=Cluster(workers=tasks), durations=durations, noise=noise
    )
    runs = [
        simulate(case.plan, case.cluster, durations=durations, noise=noise, straggler="off",
                 seed=seed + number, bars=True)
        for number in range(attempts)
    ]  # fmt: skip
    ends = [{bar.task: bar.end for bar in run.bars} for run in runs]
    return np.array([[each[task] for task in range(tasks)] for each in ends])


def test_equal_durations_are_all_nature():
    told = separate(stage(*quiet(50, 3.0)))
    assert set(taken(told, 50).ravel()) == {3.0}
    assert (told.slow_share, told.witnesses, told.known) == (0.0, 0, True)


def test_a_slow_attempt_whose_task_was_quick_the_second_time_is_noise():
    told = separate(slow_with_witnesses(1.0))
    assert (told.witnesses, told.blamed_on_attempts) == (12, 1.0)
    seconds = taken(told, 200, attempts=20)
    assert np.mean(seconds > 2) == pytest.approx(0.06, abs=0.01)
    assert seconds.max() == pytest.approx(5.0 * RUNS_ON)
    assert (seconds > 2).any(axis=0).sum() > 24, "each time others are slow"


def test_a_task_that_was_slow_the_second_time_as_well_is_slow_by_nature():
    told = separate(slow_with_witnesses(4.5))
    assert (told.witnesses, told.blamed_on_attempts) == (12, 0.0)
    seconds = taken(told, 200, attempts=3)
    assert (seconds == seconds[0]).all()
    assert (seconds[0] == 4.5).sum() == 12


@pytest.mark.parametrize(
    "slowness, by_nature", [("auto", (0.0, 1.0)), ("attempts", (0.0, 0.0)), ("tasks", (1.0, 1.0))]
)
def test_without_witnesses_both_ends_are_kept_unless_the_caller_says_which(slowness, by_nature):
    rows = quiet(90) + [(task, 1, "succeeded", 8.0) for task in range(90, 100)]
    told = separate(shuffled(rows, 100), slowness)
    assert told.witnesses == 0
    assert told.slow_share == pytest.approx(0.1)
    assert told.by_nature == by_nature
    for end, share in enumerate(by_nature):
        seconds = taken(told, 100, end, attempts=8)
        assert np.mean(seconds > 2) == pytest.approx(0.1, abs=0.03)
        assert (seconds == seconds[0]).all() == (share == 1.0)


def test_few_witnesses_narrow_the_ends():
    told = separate(slow_with_witnesses(4.5, slow=3, tasks=97))
    least, most = told.by_nature
    assert 0.4 < least < most < 1.0


def test_what_was_stopped_counts_as_what_ran_longer():
    """Half of the slow ones were stopped at 3 s; those that were not took 10 s."""
    rows = quiet(80)
    rows += [(task, 1, "succeeded", 10.0) for task in range(80, 90)]
    rows += [(task, 1, "cancelled", 3.0) for task in range(90, 100)]
    told = separate(shuffled(rows, 100), "attempts")
    seconds = taken(told, 100, attempts=20)
    assert np.mean(seconds == 10.0) == pytest.approx(0.2, abs=0.03)
    assert not np.any(seconds == 3.0)


def test_hangs_and_failures_are_shares_of_attempts():
    rows = quiet(95) + [(task, 1, "timed out", 600.0) for task in range(3)]
    rows += [(task, 1, "failed", 0.1) for task in range(2)]
    told = separate(stage(*rows))
    assert told.hang_share == pytest.approx(0.03)
    assert told.failure_share == pytest.approx(0.02)


def test_a_stage_none_of_whose_first_attempts_succeeded_is_known_from_the_others():
    told = separate(stage((0, 1, "failed", 0.1), (0, 2, "succeeded", 2.0)))
    assert told.expected.tolist() == pytest.approx([2.0])


def test_durations_that_grow_along_the_stage_are_explained_by_the_places_of_tasks():
    random = np.random.default_rng(2)
    seconds = np.linspace(1.0, 9.0, 200) * np.exp(0.1 * random.standard_normal(200))
    told = separate(stage(*((task, 1, "succeeded", s) for task, s in enumerate(seconds))))
    assert told.explained_share > 0.9
    assert told.slow_share < 0.02
    expected = told.expected
    assert expected[-20:].mean() > 5 * expected[:20].mean()


def test_durations_that_repeat_are_explained_by_the_period():
    rows = [(task, 1, "succeeded", 6.0 if task % 10 == 3 else 1.0) for task in range(200)]
    told = separate(stage(*rows))
    assert (told.slow_share, told.known) == (0.0, True)
    assert told.explained_share == pytest.approx(1.0)


def test_durations_that_go_with_bytes_are_explained_by_them():
    sizes = np.random.default_rng(4).integers(1, 50, 120) * 1_000
    rows = [(task, 1, "succeeded", size / 1e4, size) for task, size in enumerate(sizes.tolist())]
    told = separate(stage(*rows))
    assert told.explained_share > 0.95


def test_indices_that_are_long_in_two_stages_of_a_pipeline_are_long_by_nature(tmp_path):
    hard = np.random.default_rng(5).lognormal(0, 0.8, 100)
    for name, second in (("alike", hard), ("apart", np.random.default_rng(6).permutation(hard))):
        rows = [row("load", task, float(s), at=float(task)) for task, s in enumerate(hard)]
        rows += [
            row("mean", t, 2 * float(s), at=100.0 + t, worker="w1") for t, s in enumerate(second)
        ]
        relation = [{"stage": "load", "relation": outline(identity((100,)))}]
        folder = write_history(
            tmp_path / name, rows, shapes={"load": (100,), "mean": (100,)}, slots=2,
            wall_seconds=300.0, reads={"mean": relation},
        )  # fmt: skip
        told = separate_run(read_run(folder))
        for part in told.values():
            assert part.known == (name == "alike"), name
            assert part.by_nature[1] > 0.9


def test_random_durations_are_explained_by_nothing():
    for seed in range(20):
        random = np.random.default_rng(seed)
        rows = [(task, 1, "succeeded", s) for task, s in enumerate(random.lognormal(0, 0.6, 150))]
        assert separate(stage(*rows)).explained_share < 0.25, f"seed {seed}"
