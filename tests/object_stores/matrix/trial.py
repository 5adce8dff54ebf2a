"""One cell tried: the run in a process of its own or in this one, and what must hold after it."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager

from tests.faults.places import MARK, check_no_process
from tests.object_stores.matrix import program, world
from tests.object_stores.matrix.cells import Cell

PROGRAM = "import sys; from tests.object_stores.matrix.driver import main; main(sys.argv[1])"
LONGEST_SECONDS = 400.0
HANG_SECONDS = 8.0


@contextmanager
def tried(cell: Cell, folder, place, **more):
    """Make what a run needs, yield what its driver is told, and see that nothing is left."""
    for name in ("calls", "tmp", "work"):
        (folder / name).mkdir()
    told = {
        "source": place.url("x.zarr"),
        "target": place.url("y.zarr"),
        "work_dir": str(folder / "work"),
        "storage_options": place.options,
        "backups": cell.attempt == "backup",
        "executor": "processes",
    }
    if cell.fault == "hang":
        told["timeout"] = HANG_SECONDS
    yield told | more
    assert list((folder / "work").iterdir()) == []


def drive(told: dict, folder) -> dict:
    """Run a driver to its end, and return what it says; nothing of it is left, in processes or temporary files."""
    environment = os.environ | {MARK: str(folder), "TMPDIR": str(folder / "tmp")}
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, json.dumps(told)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
    ) as driver:
        try:
            out, err = driver.communicate(timeout=LONGEST_SECONDS)
        finally:
            driver.kill()
    check_no_process(str(folder))
    assert driver.returncode == 0, err
    assert list((folder / "tmp").iterdir()) == []
    return json.loads(out.splitlines()[-1])


def run_here(told: dict) -> dict:
    return program.run(told)


def check_came(cell: Cell, folder) -> None:
    """Assert that the fault came, of those that are not in requests."""
    names = {"before read": "open", "mid-compute": "kernel", "ack lost": "lost"}
    name = names.get(cell.moment, "replace")
    second = cell.attempt != "first" and cell.moment in ("before read", "mid-compute")
    assert (folder / "calls" / f"{name}~{2 if second else 1}").exists(), "the fault did not come"


def check(cell: Cell, place, before, said: dict, *, reference=None) -> str:
    """Assert that the result is right, or that there is a clear error and nothing was made; return which."""
    if "error" in said:
        assert cell.may_end, said
        words = ("y.zarr", "x.zarr", place.url(""), "403")
        assert any(word in said["message"] for word in words), said
        world.check_nothing_made(place, before)
        return "clear error"
    assert not cell.must_end, "what is forbidden passed for done"
    world.check_right(place, before, reference)
    return "right result"
