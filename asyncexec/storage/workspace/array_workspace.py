"""The arrays of a plan: its inputs, its intermediates, its targets and its results."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from asyncexec.errors import StorageError
from asyncexec.plan.locality import Locality
from asyncexec.storage.chunks.arrays import CompressorLike, StoredArray
from asyncexec.storage.chunks.block_io import InMemory
from asyncexec.storage.places.identity import identity
from asyncexec.storage.places.locations import PlaceLike, locate
from asyncexec.storage.places.metadata import documents_ahead
from asyncexec.storage.places.orphans import names_ahead
from asyncexec.storage.tiers.chunk_memory import ChunkMemory, RunChunks
from asyncexec.storage.tiers.shared_memory import SharedRun
from asyncexec.storage.versions.sessions import sent_sources
from asyncexec.storage.workspace.binding import Tier, bind
from asyncexec.storage.workspace.late_arrays import LateArrays, LateBlocks
from asyncexec.storage.workspace.open_workspace import OpenArrayWorkspace
from asyncexec.storage.workspace.packing import is_packed, pack_targets
from asyncexec.storage.workspace.parts import RunParts
from asyncexec.storage.workspace.preparation import (
    Preparation,
    check_places,
    looked_at,
    sources_of,
    written_places,
)
from asyncexec.storage.workspace.repeated_reads import repeated_reads
from asyncexec.storage.workspace.shared_names import check_shared_names
from asyncexec.storage.workspace.stage_inputs import is_staged, stage_inputs
from asyncexec.storage.workspace.target import Target
from asyncexec.storage.workspace.targets import RunTargets
from asyncexec.storage.workspace.work_dir import WorkPlace, make_work_place

if TYPE_CHECKING:
    from asyncexec.plan.stage import Stage
    from asyncexec.plan.workspace import Opening
    from asyncexec.storage.chunks.block_io import BlockIO
    from asyncexec.storage.versions.writes import OpenWrites, SessionWrites

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False, kw_only=True)
class ArrayWorkspace:
    """The storage of a plan of array stages: a :class:`~asyncexec.plan.workspace.Workspace`.

    Arrays whose location is ``run://name`` are intermediates: they get a place when the run begins (in memory first,
    where tasks share the driver's memory) and are removed when it ends. All other arrays that stages write are targets:
    they are created when the run begins, and stay. A run that fails removes its targets too, because their missing
    chunks would read as fill values; a run with ``resume=True`` keeps them, and its intermediates, for the next.

    Attributes
    ----------
    blocks : mapping of str to BlockIO
        By stage: the blocks that its tasks read and write.
    late : mapping of str to callable
        By stage whose size is known only during the run: ``late[name](stage, blocks)`` returns what its tasks read and
        write, where ``stage`` has its size, and ``blocks`` is what those of other stages do.
    results : tuple of StoredArray or InMemory
        The arrays of ``Result.value``, which are read as NumPy arrays; intermediates or targets. The shape of an array
        that a late stage writes is ignored here.
    unpack : bool
        Whether a single result is returned as it is, and not in a tuple.
    overwrite : bool
        Whether targets that exist already may be replaced.
    writes : SessionWrites or None
        What stages write into a session with versions; their ``blocks`` have no targets.
    work_dir : path, URL or zarr Store, optional
        The place of intermediates; by default the directory for temporary files.
    storage_options : mapping, optional
        For ``work_dir``; never shown.
    tier_bytes : int, optional
        The most bytes of intermediates that may stay in memory; none for 0. By default, what tasks leave of the
        engine's memory.
    memory_dir : path, optional
        The folder in a memory file system for intermediates that worker processes of this machine share; by default
        ``/dev/shm``, where there is one.
    compressor : "auto", None, mapping or codec
        How chunks of intermediates are compressed that do not stay in memory; by the place of ``work_dir`` by default.
    """

    blocks: Mapping[str, BlockIO]
    late: Mapping[str, LateBlocks] = field(default_factory=dict[str, LateBlocks])
    results: tuple[StoredArray | InMemory, ...] = ()
    unpack: bool = True
    overwrite: bool = False
    writes: SessionWrites | None = None
    work_dir: PlaceLike | None = field(default=None, repr=False)
    storage_options: Mapping[str, Any] | None = field(default=None, repr=False)
    tier_bytes: int | None = None
    memory_dir: PlaceLike | None = field(default=None, repr=False)
    compressor: CompressorLike = "auto"

    @property
    def has_passing_values(self) -> bool:
        """True where values of stages are of use to one run alone, which merges the forks that they are."""
        return self.writes is not None

    def open(self, stages: Sequence[Stage], opening: Opening) -> OpenArrayWorkspace:
        """Check every place, then create the arrays of the run; if that fails, those created are removed again.

        Raises
        ------
        ArrayNotFoundError
            If an array to be read is gone.
        TargetExistsError
            If a target exists, ``overwrite`` is off, and it is not of an earlier run that is resumed; or if another
            run makes it at the same time.
        WorkDirError
            If the work directory cannot be written.
        OptionError
            If an array is in this process's memory and workers are not, or what is read would be replaced.
        """
        stop = opening.stop
        same_process = opening.locality is Locality.SAME_PROCESS
        blocks = self.blocks if same_process else sent_sources(self.blocks)
        plan = opening.fingerprint if opening.resume else ""
        targets = RunTargets(plan=plan, overwrite=self.overwrite, stop=stop)
        parts = RunParts(targets.stamp)
        try:
            # Asked for all at once: in a remote store each place would cost a round trip of its own.
            with documents_ahead(looked_at(blocks)), names_ahead(written_places(blocks)):
                refs = check_places(stages, blocks, locality=opening.locality, stop=stop)
                writes = self._writes(opening)
                zipped = [ref for ref in refs if is_packed(ref.location)]
                parts.examine([ref for ref in refs if ref.part is not None])
                made = [ref for ref in refs if ref not in zipped and ref.part is None]
                examined = targets.examine(made)
                check_shared_names(examined)
            return self._opened(
                stages,
                opening,
                targets,
                examined,
                parts=parts,
                zipped=zipped,
                blocks=blocks,
                writes=writes,
            )
        except BaseException:
            parts.release()
            targets.release()
            raise

    def _opened(
        self,
        stages: Sequence[Stage],
        opening: Opening,
        targets: RunTargets,
        examined: Sequence[Target],
        *,
        parts: RunParts,
        zipped: Sequence[StoredArray],
        blocks: Mapping[str, BlockIO],
        writes: OpenWrites | None,
    ) -> OpenArrayWorkspace:
        # For the check that the work directory is none of them, nor inside of one.
        arrays = [target.place for target in examined]
        arrays += [ref.location for ref in [*parts.refs, *sources_of(self.blocks)]]
        made: list[WorkPlace] = []
        try:
            place = make_work_place(
                self.work_dir, self.storage_options, opening, arrays=arrays, made=made
            )
        except BaseException:
            for each in made:
                _discard(each)
            raise
        preparation = Preparation(opening.stop)
        memory = self._memory(opening)
        try:
            # Only now, as the work directory shows whether an earlier run is resumed.
            examined = targets.settle(examined, resumed=place.found)
            parts.settle()
            same_process = opening.locality is Locality.SAME_PROCESS
            tier = self._tier(opening, memory)
            if not same_process:
                blocks = stage_inputs(
                    blocks, place, tier=tier, stop=opening.stop, compressor=self.compressor
                )
            packed = pack_targets(zipped, place, targets.generation)
            mine = {identity(target.place): target.ref for target in examined}
            mine |= {identity(target.location): target.ref for target in packed}
            binding = replace(
                bind(
                    blocks,
                    place,
                    tier,
                    targets.generation,
                    targets=mine,
                    compressor=self.compressor,
                ),
                parts=parts.bound(targets.generation),
            )
            if same_process:
                preparation.make_targets(examined)
            else:
                preparation.make_shared_targets(examined)
            own = [*binding.on_disk, *(target.ref for target in packed)]
            preparation.make_intermediates(own)
            # The last moment at which all that was made can be taken back as if nothing had been.
            opening.stop()
            targets.all.extend(preparation.commit())
            targets.groups.extend(preparation.groups)
        except BaseException:
            preparation.undo()
            memory.close()
            _discard(place)
            raise
        late = LateArrays(
            late=self.late,
            blocks=self.blocks,
            binding=binding,
            tier=tier,
            targets=targets,
            locality=opening.locality,
            compressor=self.compressor,
        )
        return OpenArrayWorkspace(
            stages={stage.name: stage for stage in stages},
            blocks=dict(binding.blocks(blocks)),
            late=late,
            results=[binding.array(r) if isinstance(r, StoredArray) else r for r in self.results],
            unpack=self.unpack,
            targets=targets,
            parts=parts,
            place=place,
            writes=writes,
            packed=packed,
            memory=memory,
            inputs=self._inputs(opening, stages, tier, memory),
            storage_notes=self._notes(tier, memory) if isinstance(tier, SharedRun) else (),
            resumable=opening.resume,
            stop=opening.stop,
        )

    def _writes(self, opening: Opening) -> OpenWrites | None:
        if self.writes is None:
            return None
        same_process = opening.locality is Locality.SAME_PROCESS
        return self.writes.open(same_process=same_process, stop=opening.stop)

    def _memory(self, opening: Opening) -> RunChunks:
        """Return the run's share of its engine's memory; without an engine, there is memory in this process alone."""
        memory = opening.memory
        if isinstance(memory, RunChunks):
            return memory
        near = opening.locality is Locality.SAME_PROCESS
        return (ChunkMemory() if near else ChunkMemory(0)).open(0, 1)

    def _tier(self, opening: Opening, memory: RunChunks) -> Tier | None:
        # Memory does not outlive the run, so a run that can be resumed writes all chunks to storage.
        if opening.resume or self.tier_bytes == 0 or not memory.limit_bytes:
            return None
        if opening.locality is Locality.SAME_PROCESS:
            return memory.here(self.tier_bytes)
        if opening.locality is Locality.ELSEWHERE or not (self._handed_over or self.late):
            return None
        return self._shared(memory)

    def _shared(self, memory: RunChunks) -> SharedRun | None:
        folder = None if self.memory_dir is None else locate(self.memory_dir).local_path
        tier = memory.shared(folder, self.tier_bytes)
        if tier is None and folder is not None:
            _log.warning(
                "nothing can be made in memory_dir %s: intermediates go to the work directory",
                folder,
            )
        return tier

    def _inputs(
        self, opening: Opening, stages: Sequence[Stage], tier: Tier | None, memory: RunChunks
    ) -> Tier | None:
        """Return what chunks of inputs take their memory from that several tasks of a stage need."""
        if tier is not None:
            return tier
        if self.tier_bytes == 0 or not memory.limit_bytes:
            return None
        if opening.locality is Locality.SAME_PROCESS:
            return memory.here(self.tier_bytes)
        if opening.locality is Locality.ELSEWHERE:
            return None
        pairs = [(self.blocks[stage.name], stage) for stage in stages if stage.name in self.blocks]
        if not any(repeated_reads(io, stage.shape, shared=True) for io, stage in pairs):
            return None
        return self._shared(memory)

    def _notes(self, tier: SharedRun, memory: RunChunks) -> tuple[str, ...]:
        """Return sentences for users on a memory file system that is small for the intermediates of the run."""
        wanted = sum(self._handed_over)
        note = tier.shortage(min(wanted, memory.limit_bytes, self.tier_bytes or wanted))
        if note:
            _log.warning("%s", note)
        return (note,) if note else ()

    @property
    def _handed_over(self) -> list[int]:
        """The bytes of intermediates, and of arrays in memory that are handed over as these are."""
        written = [target.ref for io in self.blocks.values() for target in io.targets]
        read = {id(s.array): s.array for io in self.blocks.values() for s in io.sources}
        given = [a.data.nbytes for a in read.values() if isinstance(a, InMemory) and is_staged(a)]
        return [ref.nbytes for ref in written if ref.location.run_scoped] + given


def _discard(place: WorkPlace) -> None:
    """Remove the work directory of an opening that has failed; what an earlier run has left in it stays."""
    place.release()
    if place.found:
        return
    try:
        place.remove()
    except StorageError as left:
        # What has ended the opening says more.
        _log.warning("not all that the opening of a run had made is removed: %s", left)
