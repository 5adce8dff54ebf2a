"""Two drivers store at one place at once: each is right or says why not, and the place is whole."""

import numpy as np
import pytest
import zarr

from asyncexec.storage import clean
from tests.faults.drives import drive, finish, random_brief, start
from tests.faults.places import begin_in, check_no_process, check_nothing_else, check_targets, names
from tests.faults.programs import DATA, expected
from tests.faults.rounds import ERROR, RIGHT

CLEAR = {"TargetExistsError", "TargetReplacedError", "WorkDirError", "TaskFailedError"}


@pytest.mark.faults("two drivers", ["serial", "threads", "processes"])
def test_two_drivers_do_each_other_no_harm(trial, tmp_path):
    chance = trial.chance
    existing = chance.random() < 0.5
    base = random_brief(trial, tmp_path) | {"go": str(tmp_path / "calls" / "go~go~go~go~go~go")}
    amounts = [1.0, chance.choice([1.0, 2.0])]
    briefs = [
        base | {"amount": a, "overwrite": existing, "resume": chance.random() < 0.5}
        for a in amounts
    ]
    print(briefs)
    begin_in(tmp_path, existing=existing * len(names(base["program"])))
    said = together(briefs, chance, tmp_path)
    done = [
        brief["amount"] for brief, one in zip(briefs, said, strict=True) if one and "ran" in one
    ]
    for one in said:
        if one and "error" in one:
            assert one["error"] in CLEAR, one
            trial.count(ERROR)
    killed = said.count(None)
    trial.count("faults", 1 + killed)
    if not killed:
        check_whole(tmp_path, base["program"], done, existing=existing)
    clean(tmp_path / "work", older_than=0, remove=True)
    if not done:
        last = drive(briefs[0] | {"overwrite": True, "resume": False})
        assert "ran" in last, last
        check_targets(tmp_path, base["program"])
    clean(tmp_path / "work", older_than=0, remove=True)
    check_nothing_else(tmp_path, names(base["program"]))
    trial.count(RIGHT)


def together(briefs, chance, folder):
    """Start drivers at one moment, and kill one of them now and then; return what they say."""
    drivers = [start(brief) for brief in briefs]
    try:
        for driver in drivers:
            assert driver.stdout.readline() == "ready\n", driver.communicate()[1]
        (folder / "calls" / "go~go~go~go~go~go").touch()
        if chance.random() < 0.3:
            try:
                drivers[0].wait(chance.uniform(0.2, 1.5))
            except Exception:  # noqa: BLE001 - it has not ended yet
                drivers[0].kill()
        return [finish(driver) for driver in drivers]
    finally:
        for driver in drivers:
            driver.kill()
            driver.wait()
            driver.stdout.close()
            driver.stderr.close()
        check_no_process(folder)


def check_whole(folder, program, done, *, existing):
    """Assert that targets are those of runs that said so, or what was there before."""
    for number, name in enumerate(names(program)):
        allowed = [expected(program, amount)[number] for amount in done]
        if not allowed and existing:
            allowed = [DATA - 1]
        if not allowed:
            assert not (folder / name).exists()
            continue
        found = zarr.open_array(folder / name, mode="r")[...]
        assert any(np.array_equal(found, value) for value in allowed)
