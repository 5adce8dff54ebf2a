"""Arrays in the driver's memory, for workers that do not share it."""

import numpy as np
import pytest

from asyncexec.plan.locality import Locality
from asyncexec.plan.workspace import Opening
from asyncexec.storage import ArrayWorkspace, BlockIO, InMemory, TaskInput
from tests.storage.regions import same_block


@pytest.mark.parametrize("elements, files", [(10, 0), (200_000, 2)])
def test_only_large_arrays_in_memory_go_by_way_of_the_run_directory(tmp_path, elements, files):
    data = np.arange(float(elements))
    chunk = -(-elements // 2)
    source = TaskInput(array=InMemory(data, (chunk,)), select=same_block((elements,), (chunk,)))
    blocks = {name: BlockIO(sources=(source, source)) for name in ("one", "other")}
    workspace = ArrayWorkspace(blocks=blocks, work_dir=tmp_path)
    opening = Opening(plan="p", fingerprint="f" * 32, execution="e", locality=Locality.SAME_HOST)
    opened = workspace.open((), opening)
    assert len(list(tmp_path.glob("*/from-memory-*/c/*"))) == files
    for io in opened.blocks.values():
        inputs, _ = io.load((1,))
        for block in inputs:
            np.testing.assert_array_equal(block, data[chunk:])
    opened.close(succeeded=True)
    assert list(tmp_path.iterdir()) == []
