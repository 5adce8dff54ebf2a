"""Some cells of the matrix in this process, on threads, with short outages and little patience."""

import itertools

import pytest

from tests.object_stores.matrix import harm, trial, world
from tests.object_stores.matrix.cells import Cell

pytest.importorskip("obstore")
pytest_plugins = ["tests.object_stores.fixtures"]
OUTAGE_SECONDS = 0.3
PATIENCE = {"timeout": "400ms", "connect_timeout": "400ms"}
NUMBERS = itertools.count()

CELLS = [
    Cell(moment, fault, "first", "S3")
    for moment, fault in (
        ("before PUT", "exception"),
        ("after PUT before ack", "exception"),
        ("ack lost", "exception"),
        ("before read", "403"),
        ("before PUT", "403"),
        ("after PUT before ack", "429 burst"),
        ("mid-compute", "outage"),
        ("ack lost", "outage"),
        ("before read", "silence"),
        ("after PUT before ack", "silence"),
    )
]


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_a_fault_ends_in_the_right_result_or_in_a_clear_error(cell, tmp_path, proxy):
    bucket = f"quick-{next(NUMBERS)}"
    place = world.Bucket(proxy.upstream, proxy.url, bucket, **PATIENCE)
    before = world.begin(place)
    kernel = harm.of_kernel(cell, tmp_path, proxy.url)
    rule = harm.of_requests(cell, proxy, bucket, seconds=OUTAGE_SECONDS)
    with trial.tried(cell, tmp_path, place, kernel=kernel, executor="threads") as told:
        said = trial.run_here(told)
    assert rule.hits, "the fault did not come"
    trial.check(cell, place, before, said)
