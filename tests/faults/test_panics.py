"""What is no exception is raised in openings, kernels, observers: that run ends, others go on, nothing stays."""

import asyncio
import importlib
import threading
from dataclasses import dataclass
from typing import Any

import pytest

import asyncexec as ax
from asyncexec.errors import AsyncexecError
from tests.faults.executors import options
from tests.faults.places import (
    begin_in,
    check_nothing_else,
    check_targets,
    check_untouched,
    names,
)
from tests.faults.programs import PROGRAMS, storing
from tests.faults.rounds import ERROR, RIGHT
from tests.faults.wraps import drawn


class PanicError(BaseException):
    """What a library raises that is written in another language."""


KINDS = [PanicError, SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError]
# Steps of opening and of ending a run, each of which may raise before or after its work.
STEPS = [
    "workspace.array_workspace:make_work_place",
    "workspace.targets:hold_target",
    "workspace.targets:publish",
    "workspace.publication:put_in_place",
    "workspace.preparation:make_array",
    "places.exclusive:os.link",
    "workspace.preparation:Preparation.commit",
    "workspace.targets:RunTargets.check",
    "workspace.targets:RunTargets.finish",
]


@dataclass(frozen=True, kw_only=True)
class Panics:
    kernel: Any
    seed: int
    kind: type

    def __call__(self, block):
        if drawn(self.seed, 0.1)[0]:
            raise self.kind("in a kernel")
        return self.kernel(block)


class Step:
    """A step of a run that raises at a call of that number, before or after it."""

    def __init__(self, chance, kind):
        self.where = chance.choice(STEPS)
        self.number, self.after = chance.randrange(1, 3), chance.random() < 0.5
        self.kind, self.calls, self.lock = kind, 0, threading.Lock()

    def install(self, patch):
        module, _, path = self.where.partition(":")
        holder = importlib.import_module(f"asyncexec.storage.{module}")
        *outer, name = path.split(".")
        for part in outer:
            holder = getattr(holder, part)
        real = getattr(holder, name)

        def raising(*args, **more):
            with self.lock:
                self.calls += 1
                hit = self.calls == self.number
            if hit and not self.after:
                raise self.kind(f"before {path}")
            found = real(*args, **more)
            if hit:
                raise self.kind(f"after {path}")
            return found

        patch.setattr(holder, name, raising)


class Observer:
    def __init__(self, number, kind):
        self.left, self.kind = number, kind

    def __call__(self, event):
        self.left -= 1
        if self.left == 0:
            raise self.kind("in an observer")


@pytest.mark.faults("panic", ["serial", "threads", "processes", "futures", "dask"], share=2)
async def test_the_panic_of_one_run_is_its_own(trial, tmp_path):
    if trial.executor == "dask":
        pytest.importorskip("distributed")
    chance = trial.chance
    program, kind = chance.choice(sorted(PROGRAMS)), chance.choice(KINDS)
    where = chance.choice(["step", "step", "kernel", "observer"])
    existing = chance.random() < 0.5
    targets = names(program)
    begin_in(tmp_path, existing=existing * len(targets))
    step = Step(chance, kind)
    seed, number = chance.randrange(2**32), chance.randrange(1, 60)
    print(program, kind, where, step.where, step.number, step.after, number)
    wrap = (
        (lambda kernel: Panics(kernel=kernel, seed=seed, kind=kind)) if where == "kernel" else None
    )
    observers = [Observer(number, kind)] if where == "observer" else []
    async with ax.Engine(trial.executor, executor_options=options(trial.executor)) as engine:
        neighbour = engine.start(ax.Plan.map(slowly, range(40)))
        with pytest.MonkeyPatch.context() as patch:
            if where == "step":
                step.install(patch)
            plan = storing(program, tmp_path, overwrite=existing, wrap=wrap)
            raised = await ended(engine.start(plan, observers=observers, retry=False))
        assert (await neighbour).value == list(range(40))
        if raised is None:
            check_targets(tmp_path, program)
        else:
            assert kind.__name__ in str(raised)
            trial.count("faults")
            trial.count(ERROR)
            # What was to be replaced is as it was.
            check_nothing_else(tmp_path, targets if existing else [])
            check_untouched(tmp_path, targets if existing else [])
        await engine.execute(storing(program, tmp_path, overwrite=True))
    check_targets(tmp_path, program)
    check_nothing_else(tmp_path, targets)
    trial.count(RIGHT)


async def ended(execution):
    try:
        await execution
    except AsyncexecError as error:
        return error


def slowly(item):
    import time

    time.sleep(0.005)
    return item
