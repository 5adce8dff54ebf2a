"""What runs have left is found and removed, and nothing else is."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

import asyncexec as ax
from asyncexec.plan.locality import Locality
from asyncexec.plan.workspace import Opening
from asyncexec.storage import clean
from asyncexec.storage.places.locations import locate
from asyncexec.storage.places.objects import objects_at
from asyncexec.storage.workspace.leases import MARKER, Lease, read_lease
from asyncexec.storage.workspace.work_dir import make_work_place
from asyncexec.testing.patience import scaled


def opening(**changes: object) -> Opening:
    given: dict[str, object] = {"plan": "p", "fingerprint": "ab" * 16, "execution": "p-1"}
    return Opening(**(given | changes))  # type: ignore[arg-type] # they fit


KILLED = """
import os, signal, sys
from asyncexec.plan.workspace import Opening
from asyncexec.storage.workspace.work_dir import make_work_place
opening = Opening(plan="p", fingerprint="cd" * 16, execution="killed", resume=sys.argv[2] == "resume")
place = make_work_place(sys.argv[1], None, opening)
(place.location.local_path / "chunk").write_bytes(bytes(1000))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("kind", ["resume", "once"])
def test_what_killed_runs_have_left_is_removed_when_it_is_old(tmp_path: Path, kind: str) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), kind], check=False)
    (listed,) = clean(tmp_path)
    assert (listed.in_use, listed.removed) == (False, False)
    assert listed.nbytes >= 1000
    assert abs(listed.used_at - time.time()) < scaled(60)
    (listed,) = clean(tmp_path, older_than=0, dry_run=True)
    assert not listed.removed
    (listed,) = clean(tmp_path, older_than=0)
    assert listed.removed
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("resume", [False, True])
def test_what_a_living_run_uses_stays(tmp_path: Path, resume: bool) -> None:
    place = make_work_place(tmp_path, None, opening(resume=resume))
    (listed,) = clean(tmp_path, older_than=-1)
    assert (listed.in_use, listed.removed) == (True, False)
    place.release()
    (listed,) = clean(tmp_path, older_than=-1)
    assert (listed.in_use, listed.removed) == (False, True)


def test_a_run_in_another_process_is_seen(tmp_path: Path) -> None:
    script = KILLED.replace("os.kill(os.getpid(), signal.SIGKILL)", "print(flush=True); input()")
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path), "resume"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as run:
        assert run.stdout is not None
        run.stdout.readline()
        assert [(left.in_use, left.removed) for left in clean(tmp_path, older_than=-1)] == [
            (True, False)
        ]
        run.communicate(b"\n")


def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "asyncexec-notes.txt").write_text("mine")
    (tmp_path / "asyncexec-link").symlink_to(tmp_path / "data")
    plan = ax.Plan.map(abs, [-1], cache="inputs")
    ax.sync.execute(plan, work_dir=tmp_path)
    before = sorted(tmp_path.iterdir())
    assert clean(tmp_path, older_than=-1) == []
    assert sorted(tmp_path.iterdir()) == before
    assert clean(tmp_path / "nowhere") == []


def test_a_run_can_begin_again_after_its_folder_was_removed(tmp_path: Path) -> None:
    plan = ax.Plan.map(abs, [-1, 2])
    with ax.sync.SyncEngine("serial", work_dir=tmp_path) as engine:
        engine.execute(plan, resume=True, keep_values=True)
        assert [left.removed for left in clean(tmp_path, older_than=-1)] == [True]
        assert engine.execute(plan, resume=True).attempts == 2


def test_a_lease_holds_as_long_as_it_is_renewed(tmp_path: Path) -> None:
    objects = objects_at(locate(f"memory://lease-{tmp_path.name}/asyncexec-x"))
    lease = Lease(objects, seconds=0.02)
    first = read_lease(objects.get(MARKER))
    deadline = time.monotonic() + scaled(20)
    while read_lease(objects.get(MARKER)) == first:
        assert time.monotonic() < deadline
    lease.close()
    lease.close()
    assert read_lease(objects.get(MARKER))[1] == 0.0
    assert read_lease(b"asyncexec") == (0.0, 0.0)
    assert read_lease(None) == (0.0, 0.0)


def test_in_an_object_store_leases_say_what_is_in_use(tmp_path: Path) -> None:
    url = f"memory://clean-{tmp_path.name}/work"
    objects = objects_at(locate(url))
    lease = Lease(objects_at(locate(f"{url}/asyncexec-used")))
    make_work_place(url, None, opening(locality=Locality.SAME_PROCESS))
    objects.put("asyncexec-cache/aa/bb", b"1")
    objects.put("other/x", b"1")
    assert [left.in_use for left in clean(url, older_than=0)] == [False, True]
    assert [left.name for left in clean(url)] == ["asyncexec-used"]
    lease.close()
    assert [left.removed for left in clean(url)] == [False]
    assert [left.removed for left in clean(url, older_than=-1)] == [True]
    assert sorted(objects.names()) == ["asyncexec-cache/aa/bb", "other/x"]
