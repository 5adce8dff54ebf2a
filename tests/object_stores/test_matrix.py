"""Every fault at every moment of a task, to its first attempt, its retry and its backup, on a disk and on S3."""

import os

import pytest

from tests.object_stores.matrix import counts, harm, trial, world
from tests.object_stores.matrix.cells import CELLS, Cell

pytest.importorskip("obstore")
pytest_plugins = ["tests.object_stores.fixtures"]
OUTAGE_SECONDS = float(os.environ.get("OUTAGE_SECONDS") or 60)


@pytest.fixture
def noted(request):
    """Note what came of a cell in the table."""
    it = {}
    request.node.user_properties.append((counts.KEY, it))
    return it


def noting(noted, cell, said):
    noted |= {"store": cell.store, "fault": cell.fault, "moment": cell.moment}
    noted |= {"came": "failed", **{k: said[k] for k in ("seconds",) if k in said}}


@pytest.mark.faults
@pytest.mark.parametrize("cell", [c for c in CELLS if c.store == "S3"], ids=str)
def test_faults_of_requests(cell, noted, tmp_path, proxy, reference):
    bucket = f"cell-{CELLS.index(cell)}"
    place = world.Bucket(proxy.upstream, proxy.url, bucket)
    before = world.begin(place)
    kernel = harm.of_kernel(cell, tmp_path, proxy.url)
    rule = harm.of_requests(cell, proxy, bucket, seconds=OUTAGE_SECONDS)
    noting(noted, cell, {})
    with trial.tried(cell, tmp_path, place, kernel=kernel) as told:
        said = trial.drive(told, tmp_path)
    noting(noted, cell, said)
    print(said)
    if rule is None:
        trial.check_came(cell, tmp_path)
    else:
        assert rule.hits, "the fault did not come"
    noted["came"] = trial.check(cell, place, before, said, reference=reference)


@pytest.mark.faults
@pytest.mark.parametrize("cell", [c for c in CELLS if c.store == "local"], ids=str)
def test_faults_of_files(cell, noted, tmp_path, reference):
    place = world.Folder(tmp_path)
    before = world.begin(place)
    kernel = harm.of_kernel(cell, tmp_path)
    disk = harm.of_files(cell, tmp_path, place)
    noting(noted, cell, {})
    with trial.tried(cell, tmp_path, place, kernel=kernel, disk=disk) as told:
        said = trial.drive(told, tmp_path)
    noting(noted, cell, said)
    print(said)
    trial.check_came(cell, tmp_path)
    noted["came"] = trial.check(cell, place, before, said, reference=reference)


@pytest.fixture(scope="session")
def reference(tmp_path_factory):
    """What a run without faults makes, object by object."""
    folder = tmp_path_factory.mktemp("reference")
    place = world.Folder(folder)
    before = world.begin(place)
    cell = Cell("", "", "first", "local")
    kernel = harm.of_kernel(cell, folder)
    with trial.tried(cell, folder, place, kernel=kernel, executor="threads") as told:
        trial.check(cell, place, before, trial.run_here(told))
    return {n: data for n, data in place.contents().items() if n.startswith("y.zarr/")}
