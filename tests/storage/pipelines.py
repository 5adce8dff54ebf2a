"""A small plan of two array stages, and a hand that runs it task by task as an engine would."""

from dataclasses import dataclass

import numpy as np

from asyncexec.plan import ChunkedOutput, Read, Stage
from asyncexec.plan.box import unravel
from asyncexec.plan.locality import Locality
from asyncexec.plan.relations import identity
from asyncexec.plan.workspace import Opening
from asyncexec.storage import (
    ArrayWorkspace,
    BlockIO,
    TaskInput,
    TaskOutput,
    create_array,
    open_array,
    planned_array,
    write,
)
from tests.storage.regions import same_block

SHAPE, CHUNKS, GRID = (10, 7), (4, 3), (3, 3)
DATA = np.arange(70.0).reshape(SHAPE)
WHOLE = tuple(slice(0, n) for n in SHAPE)
FINGERPRINT = "0f" * 32


def double(index, block):
    return block * 2


def opening(**changes):
    return Opening(**({"plan": "p", "fingerprint": FINGERPRINT, "execution": "run-1"} | changes))


def stored(place, data, chunks=CHUNKS, **options):
    """Store ``data`` and refer to it as a reader would."""
    ref = planned_array(place, shape=data.shape, dtype=data.dtype, chunks=chunks, **options)
    create_array(ref)
    write(ref, tuple(slice(0, n) for n in data.shape), data)
    return open_array(ref.location)


def planned(place, **options):
    return planned_array(place, **({"shape": SHAPE, "dtype": "f8", "chunks": CHUNKS} | options))


@dataclass
class Pipeline:
    """source -> double -> run://middle -> double -> target."""

    stages: list
    workspace: ArrayWorkspace

    def run(self, opened, *, tasks=None, name=None):
        """Run what is not done (or just ``tasks`` of stage ``name``), and return what ran."""
        ran = []
        for stage in self.stages:
            done = {task for run in opened.done(stage) for task in run}
            for task in range(stage.tasks):
                if task in done or (name is not None and (stage.name != name or task not in tasks)):
                    continue
                io, index = opened.io(stage), unravel(task, stage.shape)
                inputs, _ = io.load(index)
                io.save(index, stage.kernel(index, *inputs))
                ran.append((stage.name, task))
        return ran


def output(ref, block):
    return ChunkedOutput(
        location=str(ref.location), shape=ref.shape, block=block, unit=ref.unit, dtype=ref.dtype
    )


def pipeline(source, target, *, middle=None, work_dir=None, **options):
    middle = middle or planned("run://middle")
    same = same_block(SHAPE, CHUNKS)
    blocks = {
        "first": BlockIO(
            sources=(TaskInput(array=source, select=same),),
            targets=(TaskOutput(array=middle, block=CHUNKS),),
            label="double",
        ),
        "second": BlockIO(
            sources=(TaskInput(array=middle, select=same),),
            targets=(TaskOutput(array=target, block=CHUNKS),),
            label="double",
        ),
    }
    stages = [
        Stage(name="first", kernel=double, shape=GRID, outputs=(output(middle, CHUNKS),)),
        Stage(
            name="second",
            kernel=double,
            shape=GRID,
            inputs=(Read("first", identity(GRID)),),
            outputs=(output(target, CHUNKS),),
        ),
    ]
    given = {"blocks": blocks, "results": (target,), "work_dir": work_dir} | options
    return Pipeline(stages, ArrayWorkspace(**given))


def run_of(folder, place, name, **options):
    """Return a pipeline from a source of its own, whose values are those of ``name``."""
    source = folder / f"source-{name}"
    if not source.exists():
        stored(source, DATA + name)
    options.setdefault("work_dir", folder / "work")
    return pipeline(open_array(source), planned(place), **options)


def opened_by(plan, **changes):
    return plan.workspace.open(
        plan.stages, opening(**({"locality": Locality.SAME_PROCESS} | changes))
    )


def everything_below(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


__all__ = [
    "CHUNKS",
    "DATA",
    "GRID",
    "SHAPE",
    "WHOLE",
    "Pipeline",
    "double",
    "everything_below",
    "opened_by",
    "opening",
    "pipeline",
    "planned",
    "run_of",
    "stored",
]
