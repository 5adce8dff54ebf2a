"""The arrays of a plan during one run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from asyncexec.plan.box import unravel
from asyncexec.storage.chunks.access import opened
from asyncexec.storage.chunks.arrays import StoredArray
from asyncexec.storage.tiers.process import TierArray
from asyncexec.storage.tiers.shared_array import SharedArray
from asyncexec.storage.workspace.completion import complete
from asyncexec.storage.workspace.packing import PackedTarget
from asyncexec.storage.workspace.presence import blocks_present, by_task, runs, writers_of
from asyncexec.storage.workspace.repeated_reads import keep_inputs
from asyncexec.storage.workspace.verification import damaged_blocks

if TYPE_CHECKING:
    from asyncexec.plan.box import Index
    from asyncexec.plan.stage import Stage
    from asyncexec.storage.chunks.block_io import BlockIO, TaskOutput
    from asyncexec.storage.chunks.block_protocols import Readable
    from asyncexec.storage.tiers.chunk_memory import RunChunks
    from asyncexec.storage.versions.forks import ForkIO
    from asyncexec.storage.versions.writes import OpenWrites
    from asyncexec.storage.workspace.binding import InTier, Tier
    from asyncexec.storage.workspace.late_arrays import LateArrays
    from asyncexec.storage.workspace.parts import RunParts
    from asyncexec.storage.workspace.targets import RunTargets
    from asyncexec.storage.workspace.work_dir import WorkPlace


@dataclass(frozen=True, eq=False, kw_only=True)
class OpenArrayWorkspace:
    """An :class:`~asyncexec.plan.workspace.OpenWorkspace`; made by ``ArrayWorkspace.open``.

    Attributes
    ----------
    blocks : dict of str to BlockIO
        By stage, with every array at its real place; late stages are added when their sizes are known.
    late : LateArrays
        The arrays of those.
    results : list
        The arrays that are collected.
    unpack : bool
        Whether a single result is returned as it is.
    targets : RunTargets
        The arrays that stay.
    parts : RunParts
        The parts of arrays that were there before.
    stages : dict of str to Stage
        By name, with their sizes as far as these are known.
    place : WorkPlace
    writes : OpenWrites or None
        What stages write into a session with versions.
    packed : list of PackedTarget
        The targets in zip files, until they are there.
    memory : RunChunks or None
        The memory that intermediates are in.
    inputs : MemoryTier, SharedRun or None
        What chunks of inputs take their memory from that several tasks of a stage read.
    storage_notes : sequence of str
        Sentences for users on that memory.
    resumable : bool
        Whether complete chunks are kept when the run fails, and counted when it is run again.
    stop : callable
        Raises once the run has been cancelled; called while the chunks of targets are checked.
    """

    blocks: dict[str, BlockIO]
    late: LateArrays
    results: list[StoredArray | Readable]
    unpack: bool
    targets: RunTargets
    parts: RunParts
    stages: dict[str, Stage]
    place: WorkPlace
    writes: OpenWrites | None = None
    packed: list[PackedTarget] = field(default_factory=list[PackedTarget])
    memory: RunChunks | None = None
    inputs: Tier | None = None
    storage_notes: Sequence[str] = ()
    resumable: bool = False
    stop: Callable[[], None] = lambda: None
    _damaged: dict[str, Sequence[int]] = field(default_factory=dict[str, Sequence[int]])
    _tiered: dict[str, tuple[tuple[TaskOutput, InTier], ...]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for name, io in self.blocks.items():
            if name in self.stages:
                self.blocks[name] = self._keeping(self.stages[name], io)
        tiered = {stage: _tiered(io) for stage, io in self.blocks.items()}
        object.__setattr__(self, "_tiered", tiered)

    @property
    def notes(self) -> Sequence[str]:
        """Sentences for users on how the targets were made, and on what could not be undone."""
        return [*self.storage_notes, *self.targets.notes, *self.parts.notes]

    def size(self, stage: Stage) -> None:
        """Create the arrays that a late stage writes, now that its size is known.

        Raises
        ------
        StorageError
            If one cannot be created, or there is something at its place that may not be replaced.
        """
        self.stages[stage.name] = stage
        blocks = self.late.make(stage)
        if blocks is None:
            return
        self.blocks[stage.name] = self._keeping(stage, blocks)
        self._tiered[stage.name] = _tiered(blocks)
        for target in blocks.targets:
            for number, result in enumerate(self.results):
                place = self.targets.place_of(target.ref)
                if isinstance(result, StoredArray) and result.location == place:
                    self.results[number] = target.array

    def io(self, stage: Stage) -> BlockIO | ForkIO | None:
        """Return the blocks that the tasks of ``stage`` read and write; None for a stage without any."""
        blocks = self.blocks.get(stage.name)
        if blocks is None or self.writes is None:
            return blocks
        return self.writes.io(stage.name, blocks)

    def done(self, stage: Stage) -> Sequence[range]:
        """Return the tasks whose chunks an earlier run of the same plan has all written.

        Those of targets are read, so that none is counted that cannot be decoded.
        """
        io = self.blocks.get(stage.name)
        if io is None or not io.targets or _writes_part(io):
            # Of a part of an array it is not known which run has written its chunks.
            return []
        # This run has made it, so that nothing can be in it yet.
        if any(self.targets.is_new(target.ref) for target in io.targets):
            return []
        present = np.ones(stage.shape, np.bool_)
        damaged = np.zeros(stage.shape, np.bool_)
        for target in io.targets:
            blocks = blocks_present(target)
            # Nobody may read these in this run; damaged intermediates are found, and made again, as they are read.
            if target.ref.location in {target.ref.location for target in self.targets.all}:
                bad = np.zeros_like(blocks)
                for number in damaged_blocks(target.ref, target.block, blocks, self.stop):
                    bad[number] = True
                damaged |= by_task(target, stage.shape, bad)
            # A task of several outputs is complete when all of them are there.
            present &= by_task(target, stage.shape, blocks)
        self._damaged[stage.name] = np.flatnonzero(damaged).tolist()
        return runs(present & ~damaged)

    def damaged(self, stage: str) -> Sequence[int]:
        """Return the tasks whose chunks :meth:`done` has found damaged."""
        return self._damaged.get(stage, ())

    def passes_on(self, stage: Stage) -> bool:
        """Return whether ``stage`` writes nothing but chunks that other stages read."""
        io = self.blocks.get(stage.name)
        if io is None or not io.targets:
            return False
        if _writes_part(io):
            return False
        stays = {target.ref.location for target in self.targets.all}
        stays |= {result.location for result in self.results if isinstance(result, StoredArray)}
        return not any(target.ref.location in stays for target in io.targets)

    def writers(self, array: str, chunks: Sequence[Index]) -> Sequence[tuple[str, int]]:
        """Return the tasks, by stage and flat index, that write these chunks of the array at a place."""
        return [
            (stage, task)
            for stage, io in self.blocks.items()
            for target in io.targets
            if str(target.ref.location) == array and target.ref.part is None
            for task in dict.fromkeys(writers_of(target, self.stages[stage].shape, chunks))
        ]

    def holds(self, stage: str, task: int) -> bool:
        """Return whether the chunks of a complete task are stored, or have not been freed in memory."""
        arrays = self._tiered.get(stage, ())
        index = unravel(task, self.stages[stage].shape) if arrays else ()
        return all(array.holds(target.number(index)) for target, array in arrays)

    def releases(self, stage: Stage) -> bool:
        """Return whether the chunks of ``stage`` are kept in memory and are not the result."""
        arrays = self._tiered.get(stage.name, ())
        return any(not self._is_result(array) for _, array in arrays)

    def release(self, stage: str, tasks: Sequence[int]) -> None:
        """Free the chunks of these tasks, which no task will read any more."""
        shape = self.stages[stage].shape
        indices = [unravel(task, shape) for task in tasks]
        for target, array in self._tiered[stage]:
            if not self._is_result(array):
                array.release(map(target.number, indices))

    def collect(self, values: Mapping[str, list[Any]]) -> Any:
        """Return the results as writable NumPy arrays; the values by stage where there are no result arrays.

        What was written into a session is merged there before; then, without result arrays, the snapshot of its commit
        is returned. From here on, targets are complete and at their places.

        Raises
        ------
        CommitConflictError
            If the session could not be committed.
        TargetReplacedError
            If another run has replaced a target.
        StorageError
            If a result cannot be read.
        """
        # Before they are read: what another run has put there is no result of this one.
        if self.results:
            self.targets.check()
        arrays = tuple(_whole(self._now(result)) for result in self.results)
        # After everything that may fail but a commit: what has been replaced is kept until the run is closed.
        self._publish()
        if self.writes is not None:
            snapshot = self.writes.finish(values)
            if not arrays:
                return snapshot
        if not arrays:
            return dict(values) or None
        return arrays[0] if self.unpack and len(arrays) == 1 else arrays

    def close(self, *, succeeded: bool) -> None:
        """Remove the run's intermediates; after a failure its targets too, unless it can be resumed.

        After success, what this raises is logged: the targets are complete, and stay.

        Raises
        ------
        StorageError
            If something cannot be removed after a failure, everything else is removed nevertheless. If a target cannot
            be put in its place; then the run has failed.
        """
        if succeeded:
            try:
                self._publish()
            except BaseException:
                self.close(succeeded=False)
                raise
        # Called in reverse order, each whatever the others raise: memory is freed first, the directory removed last.
        with complete(succeeded=succeeded), ExitStack() as stack:
            stack.callback(self.targets.release)
            stack.callback(self.parts.release)
            if self.memory is not None:
                stack.callback(self.memory.close)
            if self.writes is not None:
                stack.callback(self.writes.close)
            if succeeded or not self.resumable:
                stack.callback(self.place.remove)
            stack.callback(self.place.release)
            if succeeded:
                stack.callback(self.targets.finish)
                stack.callback(self.parts.finish)
            elif self.resumable:
                stack.callback(self.targets.keep)
                stack.callback(self.parts.keep)
            else:
                stack.callback(self.targets.discard)
                stack.callback(self.parts.discard)
            for array in (array for arrays in self._tiered.values() for _, array in arrays):
                stack.callback(array.clear)

    def _publish(self) -> None:
        # Each is taken off as it is there: this is called again where the rest has failed.
        while self.packed:
            self.packed[0].publish()
            del self.packed[0]
        self.targets.publish()
        self.parts.publish()

    def _now(self, result: StoredArray | Readable) -> StoredArray | Readable:
        """Return a result where it is now: one that has taken the place of another array is there."""
        if isinstance(result, StoredArray) and self.targets.published:
            return result.at(self.targets.place_of(result))
        return result

    def _keeping(self, stage: Stage, io: BlockIO) -> BlockIO:
        return io if self.inputs is None else keep_inputs(io, stage.shape, self.inputs)

    def _is_result(self, array: InTier) -> bool:
        return any(array is result for result in self.results)


def _writes_part(io: BlockIO) -> bool:
    return any(target.ref.part is not None for target in io.targets)


def _tiered(io: BlockIO) -> tuple[tuple[TaskOutput, InTier], ...]:
    return tuple((t, t.array) for t in io.targets if isinstance(t.array, TierArray | SharedArray))


def _whole(result: StoredArray | Readable) -> np.ndarray:
    region = tuple(slice(0, n) for n in result.shape)
    block = opened(result).read(region) if isinstance(result, StoredArray) else result.read(region)
    if block.flags.owndata and block.flags.c_contiguous:
        # It was assembled for this call, so the caller may have it without a copy.
        block.flags.writeable = True
        return block
    return block.copy()
