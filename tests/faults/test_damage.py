"""Files of a killed run are damaged at random: the next run makes them again, and no more than that."""

import shutil

import pytest

from tests.faults.drives import drive, drive_and_kill, random_brief
from tests.faults.executors import WORKERS
from tests.faults.places import begin_in, check_nothing_else, check_result, names
from tests.faults.programs import FUNCTIONS, end_of_functions, made_again
from tests.faults.rounds import ERROR, RIGHT
from tests.storage.damage.test_fuzz import damaged_at_random


@pytest.mark.faults("files damaged", ["serial", "threads", "processes"], share=1.5)
def test_damage_after_a_kill_is_mended(trial, tmp_path):
    chance = trial.chance
    told = random_brief(trial, tmp_path, with_functions=True)
    begin_in(tmp_path)
    kills = again = 0
    damaged = []
    for _ in range(2):
        kills += drive_and_kill(told, chance) is None
        if told["program"] == FUNCTIONS:
            again += end_of_functions(tmp_path)
        damaged += damage(tmp_path, chance)
    trial.count("faults", len(damaged))
    nothing_kept = not list(tmp_path.glob("work/asyncexec-*"))
    said = drive(told)
    if "error" in said:
        # Of a run that was complete, only the metadata of its targets say whose these are.
        targets = [path.parent for path in damaged if path.name == "zarr.json"]
        assert said["error"] == "TargetExistsError", said
        assert any(str(path) in said["message"] for path in targets)
        # Of others, too, where what is damaged is the name of the run or the plan.
        assert nothing_kept or "of another plan" in said["message"]
        trial.count(ERROR)
        for path in targets:
            if path.is_dir() and not (path / "zarr.json").exists():
                shutil.rmtree(path)
        said = drive(told | {"overwrite": True})
        check_result(told, said)
        check_nothing_else(tmp_path, names(told["program"]))
        trial.count(RIGHT)
        return
    check_result(told, said)
    check_nothing_else(tmp_path, names(told["program"]))
    # A damaged chunk costs its own task, and those whose chunks it needs and that were freed: of one block or one row.
    most = 2 * WORKERS * kills + 8 * len(damaged)
    again += made_again(tmp_path)
    trial.count("made again", again)
    trial.count("at most", most)
    assert again <= most
    trial.count(RIGHT)


def damage(folder, chance):
    """Damage up to five files of the work directory and the targets; return which."""
    files = [path for path in (folder / "work").rglob("*") if path.is_file()]
    files += [
        path for target in folder.glob("y*.zarr") for path in target.rglob("*") if path.is_file()
    ]
    files = sorted(path for path in files if path.name != "notes.txt")
    chosen = chance.sample(files, min(len(files), chance.randrange(1, 6)))
    for path in chosen:
        damaged_at_random(path, chance)
    return chosen
