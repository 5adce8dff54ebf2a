"""Drivers are killed at random moments: the next goes on, and computes little again."""

import pytest

from tests.faults.drives import drive, drive_and_kill, random_brief
from tests.faults.places import begin_in, check_nothing_else, check_result, names
from tests.faults.programs import FUNCTIONS, end_of_functions, made_again, made_again_at_most
from tests.faults.rounds import RIGHT

EXECUTORS = ["serial", "threads", "processes", "futures", "dask"]


@pytest.mark.faults("driver killed", EXECUTORS)
def test_a_killed_driver_loses_nothing(trial, tmp_path):
    chance = trial.chance
    told = random_brief(trial, tmp_path, with_functions=True)
    told["overwrite"] = overwrite = chance.random() < 0.5
    targets = names(told["program"])
    begin_in(tmp_path, existing=overwrite * len(targets))
    kills = again = 0
    for _ in range(chance.randrange(1, 4)):
        kills += drive_and_kill(told, chance) is None
        if told["program"] == FUNCTIONS:
            again += end_of_functions(tmp_path)
    trial.count("faults", kills)
    said = drive(told)
    check_result(told, said)
    check_nothing_else(tmp_path, targets)
    most = made_again_at_most(told["program"], kills)
    again += made_again(tmp_path)
    trial.count("made again", again)
    trial.count("at most", most)
    assert again <= most
    if targets and chance.random() < 0.3:
        assert drive(told)["ran"] == 0
    trial.count(RIGHT)
