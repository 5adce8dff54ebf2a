"""Arrays in a bucket, through obstore against a real HTTP server."""

import pickle
import traceback

import numpy as np
import pytest
import zarr

from asyncexec.errors import ArrayNotFoundError, CorruptArrayError, StorageError
from asyncexec.events.outcome import Outcome, Status
from asyncexec.plan.workspace import Opening
from asyncexec.policies.classification import FailureKind, classify
from asyncexec.storage import (
    BlockIO,
    TaskInput,
    TaskOutput,
    create_array,
    exists,
    open_array,
    planned_array,
    read,
    write,
)
from asyncexec.storage.chunks.access import forget_opened
from asyncexec.storage.places.removal import remove
from asyncexec.storage.places.stores import open_place
from asyncexec.storage.workspace.presence import blocks_present
from asyncexec.storage.workspace.work_dir import make_work_place
from asyncexec.worker.attempt import describe
from tests.storage.fake_s3 import serving
from tests.storage.regions import same_block

CANARY = "canary-b8d2e4"


@pytest.fixture
def s3():
    with serving() as (bucket, options):
        options |= {
            "access_key_id": f"AKIA{CANARY}",
            "secret_access_key": f"secret-{CANARY}",
            "token": f"token-{CANARY}",
            "region": "us-east-1",
            "client_options": {"allow_http": True},
            "retry_config": {"max_retries": 0},
        }
        yield bucket, options
    forget_opened()


def planned(options, url="s3://bucket/some/x", **changes):
    given = {
        "shape": (10, 7),
        "dtype": "f8",
        "chunks": (4, 3),
        "storage_options": options,
    } | changes
    return planned_array(url, **given)


@pytest.mark.parametrize("shards", [None, (8, 6)])
def test_arrays_are_made_written_read_listed_and_removed(s3, rng, shards):
    bucket, options = s3
    ref = planned(options, shards=shards)
    assert not exists(ref.location)
    create_array(ref)
    data = rng.random((10, 7))
    target = TaskOutput(array=ref, block=(8, 6))
    io = BlockIO(
        sources=(TaskInput(array=ref, select=same_block((10, 7), (8, 6))),), targets=(target,)
    )
    for index in np.ndindex(2, 2):
        io.save(index, data[target.region(index)])
    assert blocks_present(target).all()
    ref = open_array("s3://bucket/some/x", options)
    np.testing.assert_array_equal(read(ref, (slice(9, 2, -2), slice(0, 7))), data[9:2:-2])
    (block,), _ = pickle.loads(pickle.dumps(io)).load((1, 0))
    np.testing.assert_array_equal(block, data[8:, :6])
    np.testing.assert_array_equal(zarr.open_array(open_place(ref.location))[:], data)
    remove(ref.location)
    assert bucket.objects == {}


def test_a_missing_array_and_a_group_are_told_apart(s3):
    _, options = s3
    with pytest.raises(ArrayNotFoundError, match="no Zarr array at s3://bucket/some/x"):
        open_array("s3://bucket/some/x", options)
    create_array(planned(options, "s3://bucket/g/a"))
    zarr.open_group(open_place(planned(options, "s3://bucket/g").location), mode="a")
    with pytest.raises(ArrayNotFoundError, match="its arrays are a"):
        open_array("s3://bucket/g", options)


def test_corrupt_metadata_and_chunks(s3):
    bucket, options = s3
    ref = planned(options)
    create_array(ref)
    write(ref, (slice(0, 4), slice(0, 3)), np.ones((4, 3)))
    key = next(k for k in bucket.objects if k.endswith("c/0/0"))
    bucket.objects[key] = b"noise"
    with pytest.raises(CorruptArrayError, match=r"chunk \(0, 0\) of s3://bucket/some/x"):
        read(ref, (slice(0, 4), slice(0, 3)))
    bucket.objects["some/x/zarr.json"] = b"noise"
    with pytest.raises(CorruptArrayError, match=r"zarr\.json"):
        open_array("s3://bucket/some/x", options)


@pytest.mark.parametrize("status", [400, 403, 500, 503])
def test_a_store_that_refuses_is_an_error_without_secrets(s3, status):
    bucket, options = s3
    ref = planned(options)
    create_array(ref)
    write(ref, (slice(0, 4), slice(0, 3)), np.ones((4, 3)))
    bucket.failing = status
    for attempt in (
        lambda: read(ref, (slice(0, 4), slice(0, 3))),
        lambda: write(ref, (slice(0, 4), slice(0, 3)), np.ones((4, 3))),
        lambda: open_array("s3://bucket/some/x", options),
        lambda: exists(ref.location),
        lambda: create_array(planned(options, "s3://bucket/some/y")),
        lambda: make_work_place(
            "s3://bucket/w", options, Opening(plan="p", fingerprint="f" * 64, execution="e")
        ),
        lambda: remove(ref.location),
    ):
        with pytest.raises(StorageError, match="s3://bucket") as caught:
            attempt()
        assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_a_store_that_is_overloaded_is_worth_another_attempt(s3):
    bucket, options = s3
    ref = planned(options)
    create_array(ref)
    read(ref.at(ref.location), (slice(0, 0), slice(0, 0)))
    bucket.failing = 503
    with pytest.raises(StorageError) as caught:
        write(ref, (slice(0, 4), slice(0, 3)), np.ones((4, 3)))
    assert (
        classify(Outcome(1, Status.FAILED, error=describe(caught.value))) is FailureKind.TRANSIENT
    )


def test_the_work_directory_may_be_in_a_bucket(s3):
    bucket, options = s3
    opening = Opening(plan="p", fingerprint="f" * 64, execution="e", resume=True)
    place = make_work_place("s3://bucket/work", options, opening)
    place.release()
    again = make_work_place("s3://bucket/work", options, opening)
    assert again.found
    again.remove()
    assert bucket.objects == {}


def test_metadata_travels_with_the_reference(s3):
    bucket, options = s3
    ref = planned(options)
    create_array(ref)
    write(ref, (slice(0, 10), slice(0, 7)), np.ones((10, 7)))
    forget_opened()
    bucket.requests.clear()
    for _ in range(5):
        read(ref, (slice(0, 4), slice(0, 3)))
    assert [key for _, key in bucket.requests].count("some/x/zarr.json") == 0
    assert [key for _, key in bucket.requests].count("some/x/c/0/0") == 5
