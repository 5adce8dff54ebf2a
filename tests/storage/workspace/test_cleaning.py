"""What runs have left is found and removed, and nothing else is."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from zarr.storage import ObjectStore

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.errors import StorageError
from asyncexec.plan.locality import Locality
from asyncexec.plan.workspace import Opening
from asyncexec.storage import clean
from asyncexec.storage.places.folder_locks import lock_folder
from asyncexec.storage.places.holds import TARGET_LEASE
from asyncexec.storage.places.locations import locate
from asyncexec.storage.places.object_records import GENERATION
from asyncexec.storage.places.objects import objects_at
from asyncexec.storage.places.stamps import STAGED, Stamp, stamped
from asyncexec.storage.workspace import cleaning
from asyncexec.storage.workspace.leases import MARKER, Lease, read_lease
from asyncexec.storage.workspace.leftovers import find
from asyncexec.storage.workspace.work_dir import make_work_place
from asyncexec.testing.patience import scaled


def opening(**changes: object) -> Opening:
    given: dict[str, object] = {"plan": "p", "fingerprint": "ab" * 16, "execution": "p-1"}
    return Opening(**(given | changes))  # type: ignore[arg-type] # they fit


KILLED = """
import os, signal, sys
from asyncexec.plan.workspace import Opening
from asyncexec.storage.workspace.leftovers import find
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
    (listed,) = clean(tmp_path, older_than=0, remove=True)
    assert listed.removed
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("resume", [False, True])
def test_what_a_living_run_uses_stays(tmp_path: Path, resume: bool) -> None:
    place = make_work_place(tmp_path, None, opening(resume=resume))
    (listed,) = clean(tmp_path, older_than=-1, remove=True)
    assert (listed.in_use, listed.removed) == (True, False)
    place.release()
    (listed,) = clean(tmp_path, older_than=-1, remove=True)
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
        assert [
            (left.in_use, left.removed) for left in clean(tmp_path, older_than=-1, remove=True)
        ] == [(True, False)]
        run.communicate(b"\n")


def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "asyncexec-notes.txt").write_text("mine")
    (tmp_path / "asyncexec-link").symlink_to(tmp_path / "data")
    plan = ax.Plan.map(abs, [-1], cache="inputs")
    ax.sync.execute(plan, work_dir=tmp_path)
    before = sorted(tmp_path.iterdir())
    assert clean(tmp_path, older_than=-1, remove=True) == []
    assert sorted(tmp_path.iterdir()) == before
    assert clean(tmp_path / "nowhere") == []


def test_a_run_can_begin_again_after_its_folder_was_removed(tmp_path: Path) -> None:
    plan = ax.Plan.map(abs, [-1, 2])
    with ax.sync.SyncEngine("serial", work_dir=tmp_path) as engine:
        engine.execute(plan, resume=True, keep_values=True)
        assert [left.removed for left in clean(tmp_path, older_than=-1, remove=True)] == [True]
        assert engine.execute(plan, resume=True).attempts == 2


def test_a_lease_holds_as_long_as_it_is_renewed(tmp_path: Path) -> None:
    objects = objects_at(locate(f"memory://lease-{tmp_path.name}/asyncexec-x"))
    with contextlib.closing(Lease(objects, seconds=0.02)) as lease:
        first = read_lease(objects.get(MARKER))
        deadline = time.monotonic() + scaled(20)
        while read_lease(objects.get(MARKER)) == first:
            assert time.monotonic() < deadline
    lease.close()
    assert read_lease(objects.get(MARKER))[1] == 0.0
    assert read_lease(b"asyncexec") == (0.0, 0.0)
    assert read_lease(None) == (0.0, 0.0)


def test_in_an_object_store_leases_say_what_is_in_use(tmp_path: Path) -> None:
    url = f"memory://clean-{tmp_path.name}/work"
    objects = objects_at(locate(url))
    with contextlib.closing(Lease(objects_at(locate(f"{url}/asyncexec-used")))):
        make_work_place(url, None, opening(locality=Locality.SAME_PROCESS))
        objects.put("asyncexec-cache/aa/bb", b"1")
        objects.put("other/x", b"1")
        found = clean(url, older_than=0, remove=True)
        assert [(left.in_use, left.removed) for left in found] == [(False, True), (True, False)]
        assert [left.name for left in clean(url)] == ["asyncexec-used"]
    assert [left.removed for left in clean(url)] == [False]
    assert [left.removed for left in clean(url, older_than=-1, remove=True)] == [True]
    assert sorted(objects.names()) == ["asyncexec-cache/aa/bb", "other/x"]


RUN = "ab" * 8


def stored(place: Path, stamp: Stamp | None = None) -> Path:
    xp.to_zarr(xp.ones((4,), chunks=2), str(place))
    if stamp is not None:
        file = place / "zarr.json"
        file.write_bytes(stamped({"zarr.json": file.read_bytes()}, stamp)["zarr.json"])
    return place


def files(place: Path) -> list[str]:
    return sorted(str(path) for path in place.rglob("*") if path.is_file())


@pytest.mark.parametrize("plan", ["", "cd" * 16])
def test_unfinished_arrays_are_found_below_a_place(tmp_path: Path, plan: str) -> None:
    stored(tmp_path / "data" / "whole")
    stored(tmp_path / "data" / "begun", Stamp(run=RUN, plan=plan, unfinished=True))
    stored(tmp_path / "data" / "resumable", Stamp(run=RUN, plan="cd" * 16))
    before = files(tmp_path / "data" / "whole") + files(tmp_path / "data" / "resumable")
    (left,) = clean(tmp_path)
    assert (left.kind, left.name, left.run, left.plan) == (
        "unfinished array",
        "data/begun",
        RUN,
        plan,
    )
    assert bool(left.resume) == bool(plan)
    assert left.nbytes > 0
    assert clean(tmp_path / "data" / "begun")[0].name == "."
    assert [one.removed for one in clean(tmp_path, older_than=-1, remove=True)] == [True]
    assert clean(tmp_path) == []
    assert files(tmp_path) == sorted(before)


def test_an_unfinished_array_that_a_run_holds_stays(tmp_path: Path) -> None:
    place = stored(tmp_path / "u", Stamp(run=RUN, unfinished=True))
    lock = lock_folder(place)
    assert lock is not None
    (left,) = clean(tmp_path, older_than=-1, remove=True)
    assert (left.in_use, left.removed) == (True, False)
    lock.close()
    (left,) = clean(tmp_path, older_than=-1, remove=True)
    assert (left.in_use, left.removed) == (False, True)


def test_what_is_next_to_an_array_is_removed_and_the_array_stays(tmp_path: Path) -> None:
    stored(tmp_path / "u")
    for kind in ("new", "replaced", "removed"):
        stored(tmp_path / f"u.{kind}-{RUN}")
    stored(tmp_path / "u.new-x")  # Somebody else's name.
    before = files(tmp_path / "u") + files(tmp_path / "u.new-x")
    found = clean(tmp_path, older_than=-1, remove=True)
    assert [(left.kind, left.run, left.removed) for left in found] == [
        ("new array", RUN, True),
        ("removed array", RUN, True),
        ("replaced array", RUN, True),
    ]
    assert files(tmp_path) == sorted(before)


def test_an_array_that_was_set_aside_and_has_no_successor_is_put_back(tmp_path: Path) -> None:
    stored(tmp_path / "u")
    before = files(tmp_path)
    (tmp_path / "u").rename(tmp_path / f"u.replaced-{RUN}")
    (left,) = clean(tmp_path, older_than=-1, remove=True)
    assert (left.puts_back, left.removed) == (True, True)
    assert files(tmp_path) == before


def test_unfinished_chunks_are_removed_from_arrays_that_are_whole(tmp_path: Path) -> None:
    stored(tmp_path / "u")
    before = files(tmp_path)
    partial = tmp_path / "u" / f".asyncexec-partial-{RUN}"
    partial.mkdir()
    (partial / "begun").write_bytes(bytes(100))
    (left,) = clean(tmp_path, older_than=-1, remove=True)
    assert (left.kind, left.nbytes, left.removed) == ("unfinished chunks", 100, True)
    assert files(tmp_path) == before


def test_folders_whose_names_only_begin_as_those_of_runs_stay(tmp_path: Path) -> None:
    for name in ("asyncexec-demo", "asyncexec-docs/asyncexec-x", "asyncexec"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").write_text("mine")
    before = files(tmp_path)
    assert clean(tmp_path, older_than=-1, remove=True) == []
    assert files(tmp_path) == before


def test_work_directories_are_found_at_any_depth(tmp_path: Path) -> None:
    work = tmp_path / "project" / "work"
    make_work_place(work, None, opening(resume=True)).release()
    (left,) = clean(tmp_path)
    assert left.name == f"project/work/asyncexec-{'ab' * 16}"
    assert left.plan == "ab" * 16
    assert left.resume == f"its plan, with resume=True and work_dir={str(work)!r}"
    (left,) = clean(work / f"asyncexec-{'ab' * 16}", older_than=-1, remove=True)
    assert left.removed
    assert list(work.iterdir()) == []


def test_an_array_that_was_completed_since_it_was_listed_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = stored(tmp_path / "u", Stamp(run=RUN, unfinished=True))
    (found,) = find(locate(tmp_path), lambda name: None)
    for lock in found.locks:
        lock.close()
    file = place / "zarr.json"
    file.write_bytes(stamped({"zarr.json": file.read_bytes()}, None)["zarr.json"])
    monkeypatch.setattr(cleaning, "find", lambda place, progress: iter([found]))
    (left,) = clean(tmp_path, older_than=-1, remove=True)
    assert not left.removed
    assert "is kept" in left.problem
    assert file.exists()


def test_in_an_object_store_unfinished_arrays_are_found_too(tmp_path: Path) -> None:
    url = f"memory://unfinished-{tmp_path.name}/data"
    for name in ("whole", "begun"):
        xp.to_zarr(xp.ones((4,), chunks=2), f"{url}/{name}")
    objects = objects_at(locate(url))
    document = objects.get("begun/zarr.json")
    assert document is not None
    stamp = Stamp(run=RUN, plan="cd" * 16, unfinished=True)
    objects.put("begun/zarr.json", stamped({"zarr.json": document}, stamp)["zarr.json"])
    before = sorted(name for name in objects.names() if name.startswith("whole/"))
    (left,) = clean(url)
    assert (left.kind, left.name, left.run) == ("unfinished array", "begun", RUN)
    assert left.nbytes > 0
    assert [one.removed for one in clean(url, older_than=-1, remove=True)] == [True]
    assert sorted(objects.names()) == before


def test_the_earlier_name_of_the_option_answers(tmp_path: Path) -> None:
    make_work_place(tmp_path, None, opening(resume=True)).release()
    assert [left.removed for left in clean(tmp_path, older_than=-1, dry_run=True)] == [False]
    assert [left.removed for left in clean(tmp_path, older_than=-1, dry_run=False)] == [True]


def test_things_of_others_in_an_unfinished_array_stay(tmp_path: Path) -> None:
    place = stored(tmp_path / "u", Stamp(run=RUN, unfinished=True))
    (place / "notes.txt").write_text("mine")
    (left,) = clean(tmp_path, older_than=-1, remove=True)
    assert left.removed
    assert files(tmp_path) == [str(place / "notes.txt")]
    aside = stored(tmp_path / f"v.new-{RUN}")
    (aside / "notes.txt").write_text("mine")
    before = files(tmp_path)
    (left,) = clean(tmp_path, older_than=-1, remove=True)
    assert "it holds notes.txt, which is of no array" in left.problem
    assert files(tmp_path) == before


def test_what_is_left_in_an_array_in_a_bucket_goes_and_the_array_stays(tmp_path: Path) -> None:
    url = f"memory://marked-{tmp_path.name}/u"
    xp.to_zarr(xp.ones((4, 4), chunks=2), url)
    objects = objects_at(locate(url))
    before = sorted(objects.names())
    document = objects.get("zarr.json")
    assert document is not None
    new = stamped({"zarr.json": document}, Stamp(run=RUN, plan="cd" * 16, unfinished=True))
    objects.put(STAGED, new["zarr.json"])
    objects.put("c.0.0", b"new")
    objects.put("notes", b"mine")
    objects.put(TARGET_LEASE, b'{"at": 1.0, "until": 1e11}')
    (left,) = clean(url, older_than=-1, remove=True)
    assert (left.kind, left.run, left.in_use, left.removed) == ("new array", RUN, True, False)
    objects.put(TARGET_LEASE, b'{"at": 1.0, "until": 1.0}')
    assert [one.removed for one in clean(url, older_than=-1, remove=True)] == [True]
    assert sorted(objects.names()) == sorted([*before, "notes"])
    objects.put(TARGET_LEASE, b'{"at": 1.0, "until": 1.0}')
    (left,) = clean(url, older_than=-1, remove=True)
    assert (left.kind, left.name, left.removed) == ("lease", ".", True)
    assert sorted(objects.names()) == sorted([*before, "notes"])


def bucket(path: str) -> Any:
    obstore = pytest.importorskip("obstore.store")
    return locate(ObjectStore(obstore.MemoryStore()), path=path)


def put_chunk(place: Any, name: str, generation: str) -> None:
    """Put a chunk as a run of that generation writes it; without one, as somebody else does."""
    attributes = {"attributes": {GENERATION: generation}} if generation else {}
    place.store.store.put(f"{place.inner}/{name}", b"late", **attributes)


@pytest.mark.parametrize("left", ["staged", "late"])
def test_of_chunks_among_those_of_an_array_only_those_of_ended_runs_go(left: str) -> None:
    place = bucket("u")
    xp.to_zarr(xp.ones((4, 4), chunks=2), place)
    objects = objects_at(place)
    before = sorted(objects.names())
    data = objects.get("zarr.json")
    assert data is not None
    document = json.loads(data)
    document["chunk_key_encoding"] = {"name": "default", "configuration": {"separator": "."}}
    stamp = Stamp(run=RUN, plan="cd" * 16, unfinished=True)
    if left == "staged":
        new = stamped({"zarr.json": json.dumps(document).encode()}, stamp)
        objects.put(STAGED, new["zarr.json"])
    put_chunk(place, "c.0.0", f"{'cd' * 8}-{RUN}")
    put_chunk(place, "c.0.1", "ef" * 8)
    put_chunk(place, "c.1.0", "")
    (found,) = clean(place, older_than=-1, remove=True)
    assert (found.kind, found.removed) == (
        "new array" if left == "staged" else "orphan chunks",
        True,
    )
    stays = ["c.0.1", "c.1.0"] if left == "staged" else ["c.1.0"]
    assert sorted(objects.names()) == sorted([*before, *stays])
    # Those that the staged run has not written are of late attempts.
    kinds = [one.kind for one in clean(place, older_than=-1, remove=True)]
    assert kinds == (["orphan chunks"] if left == "staged" else [])
    assert sorted(objects.names()) == sorted([*before, "c.1.0"])
    assert xp.from_zarr(place).compute(executor="serial").tolist() == [[1.0] * 4] * 4


def test_late_chunks_at_an_empty_place_are_found_and_those_in_use_or_of_others_stay() -> None:
    place = bucket("folder")
    for name, generation in (("late", RUN), ("held", RUN), ("theirs", ""), ("mixed", RUN)):
        put_chunk(place, f"{name}/c/0/0", generation)
    objects = objects_at(place)
    objects.put("mixed/notes", b"mine")
    objects.put(f"held/{TARGET_LEASE}", b'{"at": 1.0, "until": 1e11}')
    found = {(one.name, one.kind): one for one in clean(place, older_than=-1, remove=True)}
    assert {key: one.removed for key, one in found.items()} == {
        ("late", "orphan chunks"): True,
        ("held", "orphan chunks"): False,
        ("held", "lease"): False,
    }
    assert "late/c/0/0" not in set(objects.names())
    assert {"held/c/0/0", "theirs/c/0/0", "mixed/c/0/0"} <= set(objects.names())


@pytest.mark.parametrize("place", ["http://127.0.0.1:9/x", "zip://a::file:///x.zip"])
def test_nothing_is_looked_for_where_runs_cannot_have_written(place: str) -> None:
    with pytest.raises(StorageError, match="for reading only"):
        clean(place)
