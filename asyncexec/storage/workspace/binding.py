"""The binding of a plan's run-scoped arrays to their places: in the run's directory, or in memory."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from asyncexec.storage.places.identity import identity
from asyncexec.storage.tiers.intermediate_codec import intermediate
from asyncexec.storage.tiers.process import MemoryTier, TierArray
from asyncexec.storage.tiers.shared_array import SharedArray
from asyncexec.storage.tiers.shared_memory import SharedRun

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asyncexec.storage.chunks.arrays import CompressorLike, StoredArray
    from asyncexec.storage.chunks.block_io import BlockIO
    from asyncexec.storage.workspace.work_dir import WorkPlace

type Tier = MemoryTier | SharedRun
"""A faster place for intermediates, in this process or shared with others of this machine."""
type InTier = TierArray | SharedArray
"""An intermediate array in a tier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """The places of a plan's arrays during one run.

    Attributes
    ----------
    place : WorkPlace
    tiered : mapping of str to TierArray or SharedArray
        The run-scoped arrays that are kept in memory, by their ``run://`` URL.
    stored : mapping of str to StoredArray
        The other run-scoped arrays, at their place in the run's directory.
    targets : mapping of str to StoredArray
        The arrays that stay, by the :func:`identity` of their place, as this run writes them.
    parts : mapping of StoredArray to StoredArray
        The parts of arrays that were there before, as the plan has them and as this run writes them.
    """

    place: WorkPlace
    tiered: Mapping[str, InTier] = field(default_factory=dict)
    stored: Mapping[str, StoredArray] = field(default_factory=dict)
    targets: Mapping[str, StoredArray] = field(default_factory=dict)
    parts: Mapping[StoredArray, StoredArray] = field(default_factory=dict)

    @property
    def on_disk(self) -> list[StoredArray]:
        """The run-scoped arrays to create in the run's directory: also those that take what finds no room in memory.

        One in the driver's memory is created by the first block that finds none.
        """
        shared = [a.ref for a in self.tiered.values() if isinstance(a, SharedArray)]
        return [*self.stored.values(), *shared]

    def array(self, ref: StoredArray) -> StoredArray | InTier:
        """Return the array that is read and written for ``ref`` during the run."""
        url = ref.location.url
        if ref.part is not None:
            return self.parts.get(ref, ref)
        if not ref.location.run_scoped:
            return self.targets.get(identity(ref.location), ref)
        return self.tiered.get(url) or self.stored.get(url) or ref.at(self.place.bind(ref.location))

    def blocks(self, templates: Mapping[str, BlockIO]) -> dict[str, BlockIO]:
        """Return ``templates`` (by stage) with every reference bound."""
        return {stage: io.bound(self.array) for stage, io in templates.items()}


def bind(
    templates: Mapping[str, BlockIO],
    place: WorkPlace,
    tier: Tier | None,
    generation: str,
    *,
    targets: Mapping[str, StoredArray],
    compressor: CompressorLike = "auto",
) -> Binding:
    """Return a place for every run-scoped array that a stage writes: in ``tier``, or in ``place`` without a tier.

    Those in ``place`` are compressed by ``compressor``. They have the run's ``generation``, so that an attempt that
    ends late does not make again what was removed.
    """
    tiered: dict[str, InTier] = {}
    stored: dict[str, StoredArray] = {}
    for target in (target for io in templates.values() for target in io.targets):
        ref = target.ref
        if not ref.location.run_scoped:
            continue
        # Also for those in memory, as blocks that find no room there are written to this place.
        real = replace(ref.at(place.bind(ref.location)), generation=generation)
        if isinstance(tier, MemoryTier):
            tiered[ref.location.url] = TierArray(tier, real, target.block, compressor)
            continue
        real = intermediate(real, compressor)
        if tier is None or not tier.takes(real):
            stored[ref.location.url] = real
        else:
            tiered[ref.location.url] = tier.array(real, target.block)
    return Binding(place=place, tiered=tiered, stored=stored, targets=targets)
