"""Tasks make copies of their process, with or without an end: the result is right, and no copy stays."""

import pytest

from tests.faults.drives import drive, random_brief
from tests.faults.places import begin_in, check_nothing_else, check_targets, names
from tests.faults.programs import attempts, made_again
from tests.faults.rounds import RIGHT


@pytest.mark.faults("task forks", ["serial", "threads", "processes", "futures"])
def test_copies_of_tasks_do_no_harm(trial, tmp_path):
    told = random_brief(trial, tmp_path)
    # In the driver's own process, what does not end is not ended.
    how = "forks" if trial.executor == "processes" else "forks_for_a_while"
    told |= {"wrap": how, "seed": trial.chance.randrange(2**32), "resume": False}
    begin_in(tmp_path)
    said = drive(told)
    assert "ran" in said, said
    check_targets(tmp_path, told["program"])
    check_nothing_else(tmp_path, names(told["program"]))
    trial.count("faults", len(attempts(tmp_path)) // 5)
    trial.count("made again", made_again(tmp_path))
    assert made_again(tmp_path) == 0
    trial.count(RIGHT)
