"""What is verified at a place: every chunk that is stored, whoever wrote it, and nothing is changed."""

from __future__ import annotations

import threading
import time
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from zarr.storage import MemoryStore, ZipStore

import asyncexec.array as xp
from asyncexec.errors import ArrayNotFoundError
from asyncexec.storage import verify
from asyncexec.storage.places.concurrently import in_threads
from asyncexec.storage.places.stamps import Stamp, stamped
from asyncexec.storage.workspace import checking, chunk_check
from asyncexec.testing.patience import scaled


def stored(place: Any, **options: Any) -> None:
    xp.to_zarr(xp.ones((10, 10), chunks=(3, 3)), str(place), **options)


def with_stamp(place: Path, stamp: Stamp) -> None:
    file = place / "zarr.json"
    file.write_bytes(stamped({"zarr.json": file.read_bytes()}, stamp)["zarr.json"])


def files(place: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(place.rglob("*")) if p.is_file()}


def test_an_array_as_a_run_stores_it_is_complete(tmp_path: Path) -> None:
    stored(tmp_path / "u")
    report = verify(tmp_path / "u")
    (array,) = report.arrays
    assert report.ok
    assert (array.name, array.chunks, array.stored, array.fill) == ("", 16, 16, 0)
    assert array.nbytes == sum(len(data) for path, data in files(tmp_path / "u" / "c").items())


@pytest.mark.parametrize(
    "damage, says",
    [
        (lambda data: data[:-1], "cannot be decompressed"),
        (lambda data: b"", "cannot be decompressed"),
        (lambda data: bytes(len(data)), "cannot be decompressed"),
    ],
    ids=["cut off", "empty", "zeros"],
)
def test_damaged_chunks_are_named_and_left_as_they_are(
    tmp_path: Path, damage: Any, says: str
) -> None:
    stored(tmp_path / "u")
    chunk = tmp_path / "u" / "c" / "1" / "2"
    chunk.write_bytes(damage(chunk.read_bytes()))
    before = files(tmp_path)
    (array,) = verify(tmp_path / "u").arrays
    assert not array.ok
    assert array.damaged.count == 1
    assert array.damaged.names[0].startswith("c/1/2: ")
    assert says in array.damaged.names[0]
    assert files(tmp_path) == before


def test_of_many_damaged_chunks_all_are_counted_and_the_first_named(tmp_path: Path) -> None:
    stored(tmp_path / "u")
    for chunk in (tmp_path / "u" / "c").rglob("*"):
        if chunk.is_file():
            chunk.write_bytes(b"x")
    (array,) = verify(tmp_path / "u").arrays
    assert array.damaged.count == 16
    assert len(array.damaged.names) == 10


def test_chunks_that_are_not_stored_are_fill_values_or_missing(tmp_path: Path) -> None:
    stored(tmp_path / "u")
    (tmp_path / "u" / "c" / "0" / "1").unlink()
    report = verify(tmp_path / "u")
    assert report.ok
    assert (report.arrays[0].stored, report.arrays[0].fill) == (15, 1)
    report = verify(tmp_path / "u", dense=True)
    assert not report.ok
    assert (report.arrays[0].fill, report.arrays[0].missing.names) == (0, ("c/0/1",))


def test_what_a_run_has_not_finished_is_said_to_be_so(tmp_path: Path) -> None:
    stored(tmp_path / "u")
    with_stamp(tmp_path / "u", Stamp(run="ab" * 8, plan="cd" * 16, unfinished=True))
    (tmp_path / "u" / "c" / "0" / "1").unlink()
    partial = tmp_path / "u" / f".asyncexec-partial-{'ab' * 8}"
    partial.mkdir()
    (partial / "begun").write_bytes(b"x")
    (array,) = verify(tmp_path / "u").arrays
    assert not array.ok
    assert (array.unfinished, array.run, array.plan) == (True, "ab" * 8, "cd" * 16)
    assert array.missing.names == ("c/0/1",)
    assert array.partial.count == 1


def test_a_stamped_array_that_is_complete_must_have_every_chunk(tmp_path: Path) -> None:
    stored(tmp_path / "u")
    with_stamp(tmp_path / "u", Stamp(run="ab" * 8, plan="cd" * 16))
    assert verify(tmp_path / "u").ok
    (tmp_path / "u" / "c" / "0" / "1").unlink()
    assert verify(tmp_path / "u").arrays[0].missing.names == ("c/0/1",)


def test_files_that_are_no_chunks_are_listed_and_do_no_harm(tmp_path: Path) -> None:
    stored(tmp_path / "u")
    for name in ("c/9/9", "c/0/00", "0.0", "notes.txt"):
        path = tmp_path / "u" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    report = verify(tmp_path / "u")
    assert report.ok
    assert sorted(report.arrays[0].stray.names) == ["0.0", "c/0/00", "c/9/9", "notes.txt"]


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_all_arrays_of_a_group_are_verified_whoever_wrote_them(
    tmp_path: Path, zarr_format: Any
) -> None:
    group = zarr.create_group(tmp_path / "g", zarr_format=zarr_format)
    group.create_array("a/b", shape=(4, 4), chunks=(2, 2), dtype="i4")[:2] = 1
    group.create_array("point", shape=(), dtype="f8")[...] = 1.0
    group.create_array("empty", shape=(0, 3), chunks=(2, 2), dtype="f8")
    (tmp_path / "g" / "readme").write_text("x")
    report = verify(tmp_path / "g")
    assert report.ok
    assert [(a.name, a.chunks, a.stored, a.fill) for a in report.arrays] == [
        ("a/b", 4, 2, 2),
        ("empty", 0, 0, 0),
        ("point", 1, 1, 0),
    ]
    assert report.stray.names == ("readme",)


def test_strings_and_shards_are_read_with_zarr(tmp_path: Path) -> None:
    group = zarr.create_group(tmp_path / "g")
    group.create_array("words", shape=(4,), chunks=(2,), dtype="str")[:] = np.array(
        ["a", "b", "c", "d"], dtype=object
    )
    group.create_array("shards", shape=(80,), chunks=(10,), shards=(40,), dtype="f4")[:] = 3
    assert verify(tmp_path / "g").ok
    shard = tmp_path / "g" / "shards" / "c" / "1"
    shard.write_bytes(shard.read_bytes()[:-3])
    words = tmp_path / "g" / "words" / "c" / "0"
    words.write_bytes(b"garbage")
    assert [a.damaged.count for a in verify(tmp_path / "g").arrays] == [1, 1]


def test_a_large_shard_is_read_chunk_by_chunk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunk_check, "PIECE_BYTES", 100)
    array = zarr.create_array(
        tmp_path / "u", shape=(90,), chunks=(10,), shards=(40,), dtype="f4", compressors=None
    )
    array[:] = 3
    check = chunk_check.ChunkCheck(checking.locate(tmp_path / "u"))
    assert check.piece_bytes == 40
    assert [len(list(check._regions((i,)))) for i in range(3)] == [4, 4, 1]
    assert verify(tmp_path / "u").ok


def test_metadata_that_cannot_be_read_are_a_problem_of_that_array_alone(tmp_path: Path) -> None:
    group = zarr.create_group(tmp_path / "g")
    for name in "ab":
        group.create_array(name, shape=(4,), chunks=(2,), dtype="i4")[:] = 1
    (tmp_path / "g" / "a" / "zarr.json").write_text('{"zarr_format": 3}')
    damaged, other = verify(tmp_path / "g").arrays
    assert "zarr.json" in damaged.problem
    assert not damaged.ok
    assert other.ok


def test_what_runs_have_set_aside_is_no_array_of_the_group(tmp_path: Path) -> None:
    zarr.create_group(tmp_path / "g")
    stored(tmp_path / "g" / "u")
    stored(tmp_path / f"g/u.replaced-{'ab' * 8}")
    assert [array.name for array in verify(tmp_path / "g").arrays] == ["u"]


@pytest.mark.parametrize("place", ["memory", "memory URL", "zip"])
def test_other_stores_are_verified_as_folders_are(tmp_path: Path, place: str) -> None:
    url = f"memory://{uuid.uuid4().hex}/u"
    store: Any = {"memory": MemoryStore(), "zip": tmp_path / "u.zip"}.get(place, url)
    if place == "memory URL":
        xp.to_zarr(xp.ones((4, 4), chunks=(2, 2)), url)
        assert (verify(url).ok, verify(url).arrays[0].stored) == (True, 4)
        return
    opened = ZipStore(store, mode="w") if place == "zip" else store
    zarr.create_array(opened, name="q/u", shape=(4, 4), chunks=(2, 2), dtype="i4")[:2] = 1
    opened.close()
    read = ZipStore(store, mode="r") if place == "zip" else store
    (array,) = verify(read, path="q/u").arrays
    assert (array.stored, array.fill) == (2, 2)
    assert [a.name for a in verify(read, path="q").arrays] == ["u"]
    read.close()


def test_a_store_that_lists_nothing_is_asked_for_each_chunk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored(tmp_path / "u")
    (tmp_path / "u" / "c" / "0" / "1").unlink()
    (tmp_path / "u" / "c" / "0" / "0").write_bytes(b"x")
    monkeypatch.setattr(checking, "can_list", lambda location: False)
    (array,) = verify(tmp_path / "u").arrays
    assert (array.stored, array.fill, array.damaged.count) == (15, 1, 1)
    assert verify(tmp_path / "u", dense=True).arrays[0].missing.names == ("c/0/1",)


def test_where_there_is_nothing_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(ArrayNotFoundError, match="no Zarr array or group"):
        verify(tmp_path / "nothing")


def test_progress_goes_from_the_first_chunk_to_the_last(tmp_path: Path) -> None:
    stored(tmp_path / "u")
    seen: list[tuple[str, int, int]] = []
    verify(tmp_path / "u", progress=lambda *args: seen.append(args))
    assert seen == [("", n, 16) for n in range(1, 17)]


def test_threads_are_given_no_more_than_they_can_hand_back() -> None:
    taken = []

    def items() -> Any:
        for number in range(1000):
            taken.append(number)
            yield number

    results = in_threads(lambda n: n, items(), width=3)
    next(results)
    results.close()  # type: ignore[attr-defined] # it is a generator
    deadline = time.monotonic() + scaled(30)
    while any(t.name.startswith("asyncexec-read") for t in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.001)
    assert len(taken) <= 20


def test_the_first_error_of_a_thread_is_raised_and_nobody_waits_for_one_that_hangs() -> None:
    hangs = threading.Event()

    def work(number: int) -> int:
        if number:
            raise ValueError("not this one")
        hangs.wait(60)
        return number

    with pytest.raises(ValueError, match="not this one"):
        list(in_threads(work, range(10), width=2))
    hangs.set()


def test_chunks_of_irregular_lengths_are_verified_one_by_one(tmp_path):
    with zarr.config.set({"array.rectilinear_chunks": True}):
        array = zarr.create_array(
            tmp_path / "a", shape=(10, 7), chunks=[[3, 5, 2], [4, 3]], dtype="f8"
        )
        array[:] = 1
    (report,) = verify(tmp_path / "a", dense=True).arrays
    assert (report.chunks, report.stored, report.damaged.count) == (6, 6, 0)
    (tmp_path / "a" / "c" / "2" / "1").write_bytes(b"damaged")
    (tmp_path / "a" / "c" / "0" / "0").unlink()
    (report,) = verify(tmp_path / "a", dense=True).arrays
    assert report.missing.names == ("c/0/0",)
    assert [name.partition(":")[0] for name in report.damaged.names] == ["c/2/1"]
