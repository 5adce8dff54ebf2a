"""A time at which a whole run stood still is no cause that tasks, attempts or workers have."""

import pytest

from asyncexec.histories import read_run
from asyncexec.histories.pauses import without_pauses
from asyncexec.simulation.comparison import Variant
from asyncexec.simulation.what_if import what_if
from tests.histories.made_history import row, write_history

WORKERS, WAVES = 4, 8


def run_of(folder, extra, *, waves=WAVES):
    """Waves of attempts of 1 s, on each worker a little later than on the one before; some take longer."""
    rows, ends = [], [0.01 * worker for worker in range(WORKERS)]
    for task in range(WORKERS * waves):
        worker = task % WORKERS
        seconds = 1.0 + extra(task)
        rows.append(row("nap", task, seconds, at=ends[worker], worker=f"w{worker}"))
        ends[worker] += seconds
    write_history(
        folder, rows, shapes={"nap": (WORKERS * waves,)}, slots=WORKERS, wall_seconds=max(ends)
    )
    return read_run(folder)


def test_a_time_in_which_all_attempts_stood_still_is_cut_out(tmp_path):
    run = run_of(tmp_path / "run", lambda task: 9.0 * (12 <= task < 16))
    cut, [pause] = without_pauses(run)
    assert pause.at == pytest.approx(3.0, abs=0.1)
    assert pause.seconds == pytest.approx(9.0, abs=0.1)
    assert cut.wall_seconds == pytest.approx(8.0, abs=0.2)
    assert cut.stages[0].attempts.seconds.max() == pytest.approx(1.0, abs=0.2)


def test_a_pause_is_not_repeated_elsewhere_and_is_no_reason_for_backups(tmp_path):
    run = run_of(tmp_path / "run", lambda task: 9.0 * (12 <= task < 16))
    changes = {"workers": 2 * WORKERS, "price_per_hour": 3600.0}
    told = what_if(run, changes, [Variant("two_phase")], [0])
    [elsewhere] = told.there.rows[0].runs
    assert elsewhere.makespan_seconds == pytest.approx(4.0, rel=0.1)
    assert elsewhere.backups == 0
    assert told.measured_cost == pytest.approx(run.slot_seconds), "also the pause was paid for"
    assert told.as_json()["pauses"][0]["seconds"] == pytest.approx(9.0, abs=0.1)


@pytest.mark.parametrize(
    "extra",
    [
        lambda task: 9.0 * (task < WORKERS),
        lambda task: 9.0 * (task >= WORKERS * (WAVES - 1)),
        lambda task: 9.0 * (12 <= task < 16 or task == 20),
        lambda task: 9.0 * (12 <= task < 14),
        lambda task: 0.3 * (task % 3),
    ],
    ids=["cold starts", "long last tasks", "one more is slow", "two of four", "all differ"],
)
def test_what_is_slow_otherwise_is_no_pause(tmp_path, extra):
    run = run_of(tmp_path / "run", extra)
    assert without_pauses(run) == (run, ())
