"""Drivers started in processes of their own, and killed at random moments."""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import time

from tests.faults.places import MARK, check_no_process
from tests.faults.programs import FUNCTIONS, PROGRAMS

PROGRAM = "import sys; from tests.faults.driver import main; main(sys.argv[1])"
LONGEST_SECONDS = 120.0


def start(told, *paths):
    """Start a driver whose temporary files are in its folder, and whose processes can be found by their environment."""
    folder = told["folder"]
    environment = os.environ | {
        MARK: folder,
        "TMPDIR": f"{folder}/tmp",
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, json.dumps(told)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
    )


def finish(driver):
    """Return what a driver says at its end, or nothing if it was killed."""
    out, err = driver.communicate(timeout=LONGEST_SECONDS)
    assert driver.returncode in (0, -9), err
    return json.loads(out.splitlines()[-1]) if driver.returncode == 0 else None


def drive(told, *paths):
    """Run a driver to its end, and return what it says."""
    with start(told, *paths) as driver:
        said = finish(driver)
    check_no_process(told["folder"])
    return said


def drive_and_kill(told, chance, *paths):
    """Run a driver that is killed at a random moment, if it comes to that; return what it says, or nothing."""
    how = chance.choice(["time", "event", "calls", "calls"])
    told = told | {"kill_at": chance.randrange(1, 90) if how == "event" else 0}
    with start(told, *paths) as driver:
        assert driver.stdout.readline() == "ready\n", driver.communicate()[1]
        if how == "time":
            with contextlib.suppress(subprocess.TimeoutExpired):
                driver.wait(chance.uniform(0.0, 1.5))
            driver.kill()
        elif how == "calls":
            wait_for_calls(driver, told["folder"], chance.randrange(1, 30))
            time.sleep(chance.uniform(0.0, 0.02))
            driver.kill()
        said = finish(driver)
    check_no_process(told["folder"])
    return said


def wait_for_calls(driver, folder, number):
    """Wait until so many more calls have been noted, or the driver has ended."""
    calls = pathlib.Path(folder, "calls")
    number += count(calls)
    while driver.poll() is None and count(calls) < number:
        time.sleep(0.001)


def random_brief(trial, folder, *, with_functions=False):
    """Return what a driver of a round is told: a random program."""
    names = [*sorted(PROGRAMS), *([FUNCTIONS] if with_functions else [])]
    program = trial.chance.choice(names)
    return {"folder": str(folder), "program": program, "executor": trial.executor}


def count(folder):
    return sum(1 for _ in folder.iterdir())
