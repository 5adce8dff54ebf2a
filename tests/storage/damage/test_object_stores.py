"""Chunks in an object store are made again as chunks in files are, whoever finds them damaged."""

import numpy as np
import pytest

from asyncexec.errors import TaskFailedError
from asyncexec.storage.chunks.access import forget_opened
from tests.storage.damage.chains import (
    CHUNKS,
    DATA,
    KINDS,
    TASKS,
    FailAt,
    add_one,
    chain,
    cut_and_add_one,
    executed,
    planned_target,
    recomputed,
)
from tests.storage.fake_s3 import serving
from tests.storage.pipelines import stored


@pytest.fixture
def bucket():
    with serving() as (bucket, options):
        options |= {"access_key_id": "AK", "secret_access_key": "SK", "region": "us-east-1"}
        options |= {"client_options": {"allow_http": True}}
        bucket.options = options
        yield bucket
    forget_opened()


def damage_object(bucket, ending, kind):
    (key,) = (key for key in bucket.objects if key.endswith(ending))
    damaged = KINDS[kind](bytes(bucket.objects[key]))
    if damaged is None:
        del bucket.objects[key]
    else:
        bucket.objects[key] = damaged


def planned(bucket, source, **options):
    return chain(
        source,
        planned_target("s3://bucket/y", storage_options=bucket.options),
        "s3://bucket/work",
        storage_options=bucket.options,
        **options,
    )


class Damages:
    """An observer that damages objects when a stage is complete."""

    def __init__(self, bucket, stage, *spoils):
        self.bucket, self.stage, self.spoils = bucket, stage, spoils

    def __call__(self, event):
        if type(event).__name__ == "StageCompleted" and event.stage == self.stage:
            for ending, kind in self.spoils:
                damage_object(self.bucket, ending, kind)
            forget_opened()  # As a worker that begins now.


@pytest.mark.parametrize("kind", KINDS)
def test_chunks_that_are_damaged_while_the_run_goes_on(bucket, tmp_path, kind):
    source = stored(tmp_path / "x.zarr", DATA, CHUNKS)
    damages = Damages(bucket, "s2", ("m2/c/1/0", kind), ("m2/c/3/1", kind), ("m1/c/1/0", kind))
    kernels = (add_one, add_one, cut_and_add_one)
    result = executed(planned(bucket, source, kernels=kernels, reads_all=True), observers=[damages])
    np.testing.assert_array_equal(result.value, DATA + 3)
    assert recomputed(result) == {"s1": 1, "s2": 2}


@pytest.mark.parametrize("kind", ["truncated", "deleted"])
def test_the_metadata_of_an_intermediate_do_not_matter(bucket, tmp_path, kind):
    source = stored(tmp_path / "x.zarr", DATA, CHUNKS)
    damages = Damages(bucket, "s2", ("m2/zarr.json", kind), ("m1/zarr.json", kind))
    result = executed(planned(bucket, source), observers=[damages])
    np.testing.assert_array_equal(result.value, DATA + 3)
    assert result.attempts == 3 * TASKS


@pytest.mark.parametrize("kind", KINDS)
def test_chunks_that_are_damaged_between_two_runs(bucket, tmp_path, kind):
    source = stored(tmp_path / "x.zarr", DATA, CHUNKS)
    marker = tmp_path / "fails"
    marker.touch()
    plan = planned(bucket, source, kernels=(add_one, add_one, FailAt((3, 1), marker)))
    with pytest.raises(TaskFailedError):
        # One task after another, so that all but the last are complete.
        executed(plan, "serial", resume=True, retry=1)
    marker.unlink()
    for ending in ("y/c/1/0", "m2/c/1/0", "m2/c/3/1", "m1/c/3/1", "m2/zarr.json"):
        damage_object(bucket, ending, kind)
    result = executed(plan, resume=True)
    np.testing.assert_array_equal(result.value, DATA + 3)
    # Of the target one chunk was never written; what both need is gone or damaged, and one of what that needs.
    assert result.stages[2].completed - result.stages[2].resumed == 2
    assert made_again(result) == {"s1": 1, "s2": 2, "s3": 1 if kind != "deleted" else 0}


def made_again(result):
    """Return how many tasks of each stage ran that an earlier run had completed, found at once or by who reads them."""
    again = {s.name: s.recomputed for s in result.stages}
    for stage in result.stages[:2]:
        again[stage.name] += stage.completed - stage.resumed
    return again


def test_a_damaged_chunk_of_an_input_is_an_error_that_names_the_object(bucket, tmp_path):
    source = stored("s3://bucket/x", DATA, CHUNKS, storage_options=bucket.options)
    damage_object(bucket, "x/c/1/0", "truncated")
    with pytest.raises(TaskFailedError) as caught:
        executed(planned(bucket, source))
    message = str(caught.value)
    for part in (
        "CorruptChunkError",
        "chunk (1, 0) of s3://bucket/x",
        "c/1/0: it cannot be decompressed",
    ):
        assert part in message
