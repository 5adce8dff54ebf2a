"""Runs that store at the one place: they succeed, fail, are cancelled, or stop so that they can be resumed."""

import asyncio
import sys
import threading
from dataclasses import dataclass

import numpy as np

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.errors import AsyncexecError
from asyncexec.events.records import TaskSucceeded

SHAPE, CHUNKS = (8, 6), (4, 3)
DATA = np.arange(48.0).reshape(SHAPE)
LAST = float(DATA[CHUNKS[0], CHUNKS[1]])
"""The first element of the last chunk."""


@dataclass(frozen=True)
class Adds:
    """A kernel that adds an amount."""

    amount: float

    def __call__(self, block):
        # Found where it does not count as code of the plan, which is the same with and without it.
        if (gate := getattr(sys, "one_place_gate", None)) is not None:
            gate.enter()
        return block + self.amount


class Gate:
    """Lets so many calls of kernels through; the others wait until the run has been cancelled, and store nothing."""

    def __init__(self, calls):
        self.left = calls
        self.cancelled = threading.Event()

    def enter(self):
        self.left -= 1
        if self.left < 0:
            self.cancelled.wait()
            raise RuntimeError("too late")


@dataclass(frozen=True)
class Fails:
    """A kernel that raises for one block."""

    amount: float
    block: float

    def __call__(self, block):
        if block[0, 0] == self.block:
            raise ValueError("a mistake in the kernel")
        return block + self.amount


def storing(world, kernel, *, overwrite=False, place=None, source=None):
    """Return what stores the data at the place, with what a kernel does to it."""
    spec = ax.Spec(storage_options=world.options, allowed_mem="1GB", work_dir=world.work_dir)
    x = xp.from_zarr(world.place("x.zarr") if source is None else source, spec=spec)
    y = xp.map_blocks(kernel, x, dtype="f8")
    target = world.place() if place is None else place
    return xp.store([y], [target], overwrite=overwrite, storage_options=world.options)


def run(what, *, resume=False, stop_after=0, visit=None):
    """Run what is stored, and return None, "stopped" or the error.

    It is cancelled once ``stop_after`` tasks have succeeded, after a visitor has done something.
    """
    gate = Gate(stop_after) if stop_after else None
    sys.one_place_gate = gate
    try:
        return asyncio.run(_run(what, resume, gate, stop_after, visit))
    finally:
        del sys.one_place_gate


async def _run(what, resume, gate, stop_after, visit):
    loop = asyncio.get_running_loop()
    succeeded = 0

    def cancel():
        task.cancel()
        gate.cancelled.set()

    def observe(event):
        nonlocal succeeded
        succeeded += isinstance(event, TaskSucceeded)
        if succeeded == stop_after and isinstance(event, TaskSucceeded):
            if visit is not None:
                visit()
            loop.call_soon_threadsafe(cancel)

    task = loop.create_task(
        ax.execute(
            what,
            executor="threads",
            # One after another, so that some are left when the run stops.
            executor_options={"max_workers": 1},
            resume=resume,
            observers=[observe] if gate else [],
            straggler="off",
            retry=False,
        )
    )
    try:
        await task
    except asyncio.CancelledError:
        return "stopped"
    except AsyncexecError as error:
        return error
    return None


def read(world, **more):
    """Return what the array module reads at the place, or the error."""
    try:
        spec = ax.Spec(storage_options=world.options, allowed_mem="1GB", executor="serial")
        return xp.from_zarr(world.place(), spec=spec, **more).compute()
    except AsyncexecError as error:
        return error
