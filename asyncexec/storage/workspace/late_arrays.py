"""The arrays of late stages, which are created when their sizes are known, during the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from asyncexec.errors import ArrayNotFoundError, CorruptArrayError
from asyncexec.plan.locality import Locality
from asyncexec.storage.places.identity import identity
from asyncexec.storage.places.metadata import exists
from asyncexec.storage.places.opening import open_array
from asyncexec.storage.places.removal import remove
from asyncexec.storage.workspace.binding import Binding, Tier, bind
from asyncexec.storage.workspace.preparation import Preparation, check_places
from asyncexec.storage.workspace.stage_inputs import stage_inputs
from asyncexec.storage.workspace.target import Replacing, Target

if TYPE_CHECKING:
    from asyncexec.plan.stage import Stage
    from asyncexec.storage.chunks.arrays import CompressorLike, StoredArray
    from asyncexec.storage.chunks.block_io import BlockIO
    from asyncexec.storage.workspace.targets import RunTargets

type LateBlocks = Callable[[Stage, Mapping[str, BlockIO]], BlockIO]
"""Returns the blocks of a stage whose size is known now, from the stage and the blocks of other stages."""


class LateArrays:
    """Creates the arrays of late stages of one run, one stage after another.

    Parameters
    ----------
    late : mapping of str to LateBlocks
        By stage.
    blocks : mapping of str to BlockIO
        The blocks of the other stages, as the plan has them.
    binding : Binding
        The places of the arrays of the other stages.
    tier : MemoryTier, SharedRun or None
    targets : RunTargets
        Those of the run so far; others are added.
    locality : Locality
    compressor
        Of intermediates.
    """

    def __init__(
        self,
        *,
        late: Mapping[str, LateBlocks],
        blocks: Mapping[str, BlockIO],
        binding: Binding,
        tier: Tier | None,
        targets: RunTargets,
        locality: Locality,
        compressor: CompressorLike = "auto",
    ) -> None:
        self._late = late
        self._blocks = dict(blocks)
        self._binding = binding
        self._tier = tier
        self._targets = targets
        self._locality = locality
        self._compressor = compressor

    def make(self, stage: Stage) -> BlockIO | None:
        """Create the arrays that ``stage`` writes, and return its blocks; None for a stage of values.

        Raises
        ------
        StorageError
            As when a run begins; then the arrays created here are removed again.
        OptionError
            If an array is in this process's memory and workers are not, or what is read would be replaced.
        """
        blocks_of = self._late.get(stage.name)
        if blocks_of is None:
            return None
        blocks = self._blocks[stage.name] = blocks_of(stage, self._blocks)
        written = check_places((stage,), self._blocks, locality=self._locality)
        mine = [target.ref for target in blocks.targets]
        refs = [ref for ref in written if ref in mine]
        preparation = Preparation()
        try:
            # The stages that give the size have run again: what an earlier run has made may have had another. Of one
            # that cannot be read nothing is kept.
            examined = self._targets.examine(refs)
            targets = self._targets.settle(examined, resumed=False, fits=_fits)
            bound = self._prepared(stage, blocks, targets, preparation)
            self._targets.all.extend(preparation.commit())
            self._targets.groups.extend(preparation.groups)
        except BaseException:
            preparation.undo()
            raise
        return bound

    def _prepared(
        self, stage: Stage, blocks: BlockIO, targets: list[Target], preparation: Preparation
    ) -> BlockIO:
        place = self._binding.place
        given = {stage.name: blocks}
        if self._locality is not Locality.SAME_PROCESS:
            given = stage_inputs(
                given,
                place,
                f"for-{len(self._blocks)}",
                tier=self._tier,
                compressor=self._compressor,
            )
        more = bind(
            given,
            place,
            self._tier,
            self._targets.generation,
            targets={identity(t.place): t.ref for t in targets},
            compressor=self._compressor,
        )
        self._binding = Binding(
            place=place,
            tiered={**self._binding.tiered, **more.tiered},
            stored={**self._binding.stored, **more.stored},
            targets={**self._binding.targets, **more.targets},
        )
        preparation.make_targets(targets)
        for ref in more.on_disk:
            # An earlier run has made it, when the stages before gave it another size.
            if exists(ref.location) and not _is_there(ref):
                remove(ref.location)
        preparation.make_intermediates(more.on_disk)
        return self._binding.blocks(given)[stage.name]


def _fits(target: Target) -> bool:
    """Return whether what an earlier run of the plan has made of ``target`` has its size."""
    return target.replacing is not Replacing.OTHER_KEYS and _is_there(target.ref)


def _is_there(ref: StoredArray) -> bool:
    """Return whether there is an array at the place of ``ref`` with its shape, dtype and unit."""
    try:
        found = open_array(ref.location, unfinished=True)
    except (ArrayNotFoundError, CorruptArrayError):
        return False
    return (found.shape, found.dtype, found.unit) == (ref.shape, ref.dtype, ref.unit)
