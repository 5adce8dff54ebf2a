"""Object stores in processes that were copied by fork: what would wait for ever is refused."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("obstore")

PROGRAM = """
import os, sys
from obstore.store import MemoryStore
from zarr.storage import ObjectStore
from asyncexec.errors import UsageError
from asyncexec.storage import locate
from asyncexec.storage.places.objects import objects_at

objects = objects_at(locate(ObjectStore(MemoryStore())))
if sys.argv[1] == "used before":
    objects.get("name")
copy = os.fork()
if copy == 0:
    try:
        print(objects.get("name"), flush=True)
    except UsageError as error:
        print(error, flush=True)
    os._exit(0)
os.waitpid(copy, 0)
print(objects.get("name"))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("when", ["used before", "used after"])
def test_a_copy_of_a_process_that_has_used_an_object_store_is_told_what_to_do(when):
    """And one of a process that has not used any uses its own."""
    program = [sys.executable, "-W", "ignore", "-c", PROGRAM, when]
    ran = subprocess.run(program, capture_output=True, text=True, timeout=60, check=True)
    in_copy, here = ran.stdout.splitlines()
    assert here == "None"
    assert ("forkserver" in in_copy) if when == "used before" else (in_copy == here)
