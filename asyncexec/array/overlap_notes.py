"""Notes on stages whose arrays are in stores elsewhere: how many of their tasks load and save at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncexec.storage.chunks.arrays import StoredArray
from asyncexec.storage.places.locations import locate

if TYPE_CHECKING:
    from asyncexec.array.spec import Spec
    from asyncexec.plan.memory import Memory
    from asyncexec.storage.chunks.block_io import BlockIO


def overlap_notes(io: BlockIO, memory: Memory, spec: Spec) -> tuple[str, ...]:
    """Return a sentence on the width of the input and output of a stage; none where all is on this machine."""
    arrays = [source.array for source in io.sources] + [target.array for target in io.targets]
    places = [array.location for array in arrays if isinstance(array, StoredArray)]
    named = [place for place in places if not place.run_scoped]
    if spec.work_dir is not None and len(named) < len(places):
        named.append(locate(spec.work_dir, spec.storage_options))
    elsewhere = sorted({str(place) for place in named if place.is_elsewhere})
    if not elsewhere:
        return ()
    fitting = memory.at_once(memory.allowed_bytes) if memory.allowed_bytes is not None else None
    width, why = io.most_requests, f"requests={io.most_requests}"
    if fitting is not None and fitting < width:
        width, why = max(1, fitting), "which is what fits in allowed_mem"
    waits = f"as it waits for {', '.join(elsewhere)}; one after another on serial"
    return (f"loads and saves up to {width} tasks at once in a process ({why}), {waits}",)
