"""Code is edited, or not, between a kill and the next run: what was computed by other code never counts."""

import pytest

from asyncexec.storage import clean
from tests.faults import edits
from tests.faults.drives import drive, drive_and_kill, random_brief
from tests.faults.places import begin_in, check_nothing_else, check_result, names
from tests.faults.programs import FUNCTIONS, end_of_functions, made_again, made_again_at_most
from tests.faults.rounds import ERROR, RIGHT


@pytest.mark.faults("code edited", ["serial", "threads", "processes"])
def test_what_other_code_has_computed_does_not_count(trial, tmp_path):
    chance = trial.chance
    told = random_brief(trial, tmp_path, with_functions=True) | {"code": "user"}
    edit, before = chance.choice(sorted(edits.EDITS)), 2.0
    after = chance.choice([2.0, 3.0, 3.0])
    print(edit, before, after, told)
    code = tmp_path / "code"
    begin_in(tmp_path)
    edits.write(code, edit, before)
    killed = drive_and_kill(told, chance, code) is None
    again = end_of_functions(tmp_path) if told["program"] == FUNCTIONS else 0
    if after != before:
        edits.write(code, edit, after)
        trial.count("faults")
        for path in (tmp_path / "calls").iterdir():
            path.unlink()
    said = drive(told, code)
    if "error" in said:
        assert said["error"] == "TargetExistsError", said
        assert after != before
        trial.count(ERROR)
        said = drive(told | {"overwrite": True}, code)
    check_result(told, said, after)
    most = made_again_at_most(told["program"], killed * (after == before))
    again += made_again(tmp_path)
    trial.count("made again", again)
    trial.count("at most", most)
    assert again <= most
    # What the killed run of other code has left is known as such, and removed on demand.
    clean(tmp_path / "work", older_than=0, remove=True)
    check_nothing_else(tmp_path, ["code", *names(told["program"])])
    trial.count(RIGHT)
