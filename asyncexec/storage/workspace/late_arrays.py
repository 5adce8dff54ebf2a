"""The arrays of late stages, which are created when their sizes are known, during the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from asyncexec.errors import ArrayNotFoundError, CorruptArrayError
from asyncexec.plan.locality import Locality
from asyncexec.storage.places.creation import remove
from asyncexec.storage.places.metadata import exists
from asyncexec.storage.places.opening import open_array
from asyncexec.storage.workspace.binding import Binding, bind
from asyncexec.storage.workspace.preparation import Preparation, check_places, check_targets
from asyncexec.storage.workspace.stage_inputs import stage_inputs

if TYPE_CHECKING:
    from asyncexec.plan.stage import Stage
    from asyncexec.storage.chunks.arrays import StoredArray
    from asyncexec.storage.chunks.block_io import BlockIO
    from asyncexec.storage.places.locations import Location
    from asyncexec.storage.tiers.process import MemoryTier
    from asyncexec.storage.workspace.journal import Journal

type LateBlocks = Callable[[Stage, Mapping[str, BlockIO]], BlockIO]
"""Returns the blocks of a stage whose size is known now, from the stage and the blocks of other stages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SizedArrays:
    """The arrays that a late stage reads and writes, ready for its tasks.

    Attributes
    ----------
    blocks : BlockIO
    targets : list of StoredArray
        The arrays that stay.
    made : list of Location
        The targets that this run has created.
    """

    blocks: BlockIO
    targets: list[StoredArray]
    made: list[Location]


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
    tier : MemoryTier or None
    journal : Journal or None
        Of a run that can be resumed.
    overwrite : bool
    locality : Locality
    """

    def __init__(
        self,
        *,
        late: Mapping[str, LateBlocks],
        blocks: Mapping[str, BlockIO],
        binding: Binding,
        tier: MemoryTier | None,
        journal: Journal | None,
        overwrite: bool,
        locality: Locality,
    ) -> None:
        self._late = late
        self._blocks = dict(blocks)
        self._binding = binding
        self._tier = tier
        self._journal = journal
        self._overwrite = overwrite
        self._locality = locality

    def make(self, stage: Stage) -> SizedArrays | None:
        """Create the arrays that ``stage`` writes; None for a stage of values.

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
        targets = [ref for ref in written if ref in mine]
        preparation = Preparation()
        try:
            bound = self._prepared(stage, blocks, targets, preparation)
            preparation.commit()
        except BaseException:
            preparation.undo()
            raise
        return SizedArrays(blocks=bound, targets=targets, made=list(preparation.made))

    def _prepared(
        self, stage: Stage, blocks: BlockIO, targets: list[StoredArray], preparation: Preparation
    ) -> BlockIO:
        made = {} if self._journal is None else self._journal.made
        kept = check_targets(targets, overwrite=self._overwrite, made=made)
        # The stages that give the size have run again: an earlier run may have had another.
        missing = [ref for ref in targets if ref not in kept or not _is_there(ref)]
        place = self._binding.place
        given = {stage.name: blocks}
        if self._locality is not Locality.SAME_PROCESS:
            given = stage_inputs(given, place, f"for-{len(self._blocks)}")
        more = bind(given, place, self._tier)
        self._binding = Binding(
            place=place,
            tiered={**self._binding.tiered, **more.tiered},
            stored={**self._binding.stored, **more.stored},
        )
        preparation.make_targets(missing, self._journal)
        for ref in more.stored.values():
            if exists(ref.location) and not _is_there(ref):
                remove(ref.location)
        preparation.make_intermediates(list(more.stored.values()))
        return self._binding.blocks(given)[stage.name]


def _is_there(ref: StoredArray) -> bool:
    """Return whether there is an array at the place of ``ref`` with its shape, dtype and unit."""
    try:
        found = open_array(ref.location)
    except (ArrayNotFoundError, CorruptArrayError):
        return False
    return (found.shape, found.dtype, found.unit) == (ref.shape, ref.dtype, ref.unit)
