"""A driver in a process of its own, told by a brief in JSON what to run, and when to kill itself."""

import importlib
import json
import os
import pathlib
import signal
import time

import asyncexec as ax
from asyncexec.errors import AsyncexecError
from tests.faults import wraps
from tests.faults.executors import options
from tests.faults.programs import FUNCTIONS, functions, storing


class KillsAt:
    """An observer that kills its process at an event of that number."""

    def __init__(self, number):
        self.left = number

    def __call__(self, event):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def main(brief):
    told = json.loads(brief)
    plan = planned(told)
    observers = [KillsAt(told["kill_at"])] if told.get("kill_at") else []
    print("ready", flush=True)
    # Drivers that are to start together wait for a file.
    while told.get("go") and not pathlib.Path(told["go"]).exists():
        time.sleep(0.001)
    print(json.dumps(ended(plan, told, observers)), flush=True)


def planned(told):
    more = {"amount": told.get("amount", 1.0), "wrap": wrapping(told)}
    if told["program"] == FUNCTIONS:
        return functions(told["folder"], **more)
    overwrite = told.get("overwrite", False)
    return storing(told["program"], told["folder"], overwrite=overwrite, **more)


def wrapping(told):
    """Return what is put around each kernel: a function of a user's file, or a fault."""
    if "code" in told:
        return importlib.import_module(told["code"]).wrap
    if "wrap" in told:
        return getattr(wraps, told["wrap"])(told["seed"])
    return None


def ended(plan, told, observers):
    try:
        result = ax.sync.execute(
            plan,
            executor=told["executor"].partition(" ")[0],
            executor_options=options(told["executor"]),
            resume=told.get("resume", True),
            observers=observers,
            work_dir=f"{told['folder']}/work",
            **({"retry": told["retry"]} if "retry" in told else {}),
        )
    except AsyncexecError as error:
        return {"error": type(error).__name__, "message": str(error)}
    ran = sum(stage.tasks - stage.resumed for stage in result.stages)
    value = result.value if told["program"] == FUNCTIONS else None
    return {"ran": ran, "value": value}
