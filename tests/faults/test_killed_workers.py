"""Workers die by themselves or are killed at random moments: the result is right all the same."""

import os
import signal
import time

import psutil
import pytest

from tests.faults.drives import drive, finish, random_brief, start
from tests.faults.executors import WORKERS
from tests.faults.places import begin_in, check_no_process, check_nothing_else, check_result, names
from tests.faults.programs import made_again
from tests.faults.rounds import ERROR, RIGHT

CLEAR = {
    "WorkerLostError",
    "PoisonTaskError",
    "RetryBudgetError",
    "CircuitOpenError",
    "BackendError",
}


@pytest.mark.faults("worker killed", ["processes", "futures processes"])
def test_dead_workers_do_no_harm(trial, tmp_path):
    told = random_brief(trial, tmp_path) | {"resume": False, "retry": 8}
    by_itself = trial.chance.random() < 0.5
    if by_itself:
        told |= {"wrap": "dies", "seed": trial.chance.randrange(2**32)}
    begin_in(tmp_path)
    with start(told) as driver:
        assert driver.stdout.readline() == "ready\n", driver.communicate()[1]
        killed = 0 if by_itself else kill_workers(driver, trial.chance)
        said = finish(driver)
    check_no_process(tmp_path)
    again = made_again(tmp_path)
    trial.count("faults", again if by_itself else killed)
    trial.count("made again", again)
    if not by_itself:
        # A worker that dies takes its own task with it; a pool of futures that breaks, all that run.
        most = killed * (WORKERS if trial.executor != "processes" else 1)
        trial.count("at most", most)
        assert again <= most
    if "error" in said:
        assert said["error"] in CLEAR, said
        check_nothing_else(tmp_path)
        trial.count(ERROR)
        told.pop("wrap", None)
        said = drive(told)
    check_result(told, said)
    check_nothing_else(tmp_path, names(told["program"]))
    trial.count(RIGHT)


def kill_workers(driver, chance):
    """Kill up to three workers, at random moments; return how many."""
    killed = 0
    while driver.poll() is None and killed < 3:
        time.sleep(chance.uniform(0.05, 0.6))
        try:
            workers = [
                p.pid for p in psutil.Process(driver.pid).children(recursive=True) if is_worker(p)
            ]
        except psutil.Error:
            continue
        if workers:
            os.kill(chance.choice(sorted(workers)), signal.SIGKILL)
            killed += 1
    return killed


def is_worker(process):
    command = " ".join(process.cmdline())
    return "tracker" not in command and process.status() != "zombie"
