"""Plans that damage what they have written themselves, and the kinds of damage."""

import asyncio
import pathlib
from dataclasses import dataclass

import numpy as np

import asyncexec as ax
from asyncexec.plan import Plan, Read, Stage
from asyncexec.plan.access_map import ReadRegion
from asyncexec.plan.relations import All, identity
from asyncexec.storage import ArrayWorkspace, BlockIO, TaskInput, TaskOutput, planned_array
from asyncexec.worker.task_context import CURRENT
from tests.storage.pipelines import output
from tests.storage.regions import same_block, whole

SHAPE, CHUNKS, GRID = (8, 6), (2, 3), (4, 2)
TASKS = 8
BLOCK_BYTES = 48
DATA = np.random.default_rng(11).integers(0, 1000, SHAPE).astype("f8")


def flipped(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 4]) + data[middle + 1 :]


KINDS = {
    "flipped bit": flipped,
    "truncated": lambda data: data[: len(data) // 2],
    "one byte left": lambda data: data[:1],
    "empty": lambda data: b"",
    "longer": lambda data: data + b"more",
    "garbage": lambda data: np.random.default_rng(7).bytes(len(data)),
    "deleted": lambda data: None,
}

CASES = [
    *[("threads", kind) for kind in KINDS],
    ("processes", "flipped bit"),
    ("processes", "empty"),
]
"""Every kind, and what travels from another process when one is found."""


def damage(path, kind):
    """Damage a file, where it is."""
    path = pathlib.Path(path)
    damaged = KINDS[kind](path.read_bytes())
    if damaged is None:
        path.unlink()
    else:
        path.write_bytes(damaged)


def files_of(work_dir, array):
    """Return the files of the chunks of an intermediate in the folder of a run."""
    return sorted(
        p for p in pathlib.Path(work_dir).glob(f"asyncexec-*/{array}/c/**/*") if p.is_file()
    )


@dataclass(frozen=True)
class Spoiler:
    """Does damage at one index, as often as it may.

    Attributes
    ----------
    folder : path
        The place where arrays are.
    marks : path
        A folder where each time is counted, for processes do not share memory.
    spoils : tuple of (array, chunk, kind)
    at : tuple of int
    times : int
    """

    folder: str
    marks: str
    spoils: tuple = ()
    at: tuple = (0, 0)
    times: int = 1

    def strike(self, index):
        """Do the damage, if this is the index and all that is to be damaged is there."""
        done = len(list(pathlib.Path(self.marks).iterdir()))
        if index != self.at or done >= self.times:
            return
        files = [[*pathlib.Path(self.folder).glob(f"**/{a}/c/{c}")] for a, c, _ in self.spoils]
        if all(files):
            pathlib.Path(self.marks, str(done)).touch()
            for (found,), (_, _, kind) in zip(files, self.spoils, strict=True):
                damage(found, kind)

    def __call__(self, index, block):
        """Do the damage, and add one: as the kernel of a stage."""
        self.strike(index)
        return block + 1


@dataclass(frozen=True)
class SpoilingSelect:
    """Selects what a task reads, after damage was done at its index.

    The driver, too, asks what tasks read, for their sizes; only an attempt does the damage.
    """

    spoiler: Spoiler
    inner: ReadRegion

    def __call__(self, index):
        if CURRENT.get() is not None:
            self.spoiler.strike(index)
        return self.inner(index)


def add_one(index, block):
    return block + 1


class FailAt:
    """A kernel that adds one, and fails at an index while a file is there."""

    def __init__(self, index, marker):
        self.index = index
        self.marker = marker

    def __call__(self, index, block):
        if index == self.index and self.marker.exists():
            raise ArithmeticError
        return block + 1


def cut_and_add_one(index, whole):
    return whole[tuple(slice(i * c, (i + 1) * c) for i, c in zip(index, CHUNKS, strict=True))] + 1


def chain(
    source,
    target,
    work_dir,
    *,
    kernels=(add_one,) * 3,
    before_reading=None,
    reads_all=False,
    **options,
):
    """Return a plan with a stage ``s1``, ``s2``, … for each kernel: source -> run://m1 -> run://m2 -> … -> target.

    The last stage reads its block, or everything in each task, after the spoiler ``before_reading``.
    """
    workspace = {n: options.pop(n) for n in ("tier_bytes", "storage_options") if n in options}
    refs = [
        planned_array(
            f"run://m{n}", shape=SHAPE, dtype="f8", chunks=CHUNKS, compressor=None, **options
        )
        for n in range(1, len(kernels))
    ]
    refs.append(target)
    blocks, stages = {}, []
    for n, (kernel, ref) in enumerate(zip(kernels, refs, strict=True), 1):
        before = source if n == 1 else refs[n - 2]
        last = n == len(kernels)
        relation = All(GRID, GRID) if last and reads_all else identity(GRID)
        reads = whole(SHAPE) if last and reads_all else same_block(SHAPE, CHUNKS)
        if last and before_reading is not None:
            reads = SpoilingSelect(before_reading, reads)
        blocks[f"s{n}"] = BlockIO(
            sources=(TaskInput(array=before, select=reads),),
            targets=(TaskOutput(array=ref, block=CHUNKS),),
            label=f"s{n}",
        )
        stages.append(
            Stage(
                name=f"s{n}",
                kernel=kernel,
                shape=GRID,
                inputs=(Read(f"s{n - 1}", relation),) if n > 1 else (),
                outputs=(output(ref, CHUNKS),),
            )
        )
    given = {"blocks": blocks, "results": (target,), "work_dir": work_dir, "tier_bytes": 0}
    return Plan(tuple(stages), "chain", workspace=ArrayWorkspace(**given | workspace))


def planned_target(place, **options):
    """Return the reference of a target."""
    return planned_array(place, **{"shape": SHAPE, "dtype": "f8", "chunks": CHUNKS} | options)


def recomputed(result):
    """Return how many tasks of each stage ran again."""
    return {stage.name: stage.recomputed for stage in result.stages if stage.recomputed}


def executed(plan, executor="threads", **options):
    """Run a plan on one worker, stage after stage, and return its result."""

    async def run():
        settings = {"max_workers": 1}
        async with ax.Engine(executor=executor, executor_options=settings) as engine:
            return await engine.execute(plan, **{"barriers": True} | options)

    return asyncio.run(run())
