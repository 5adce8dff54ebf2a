"""Blobs are there whole, or not at all."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st

from asyncexec.errors import StorageError
from asyncexec.storage.places.locations import Location, locate
from asyncexec.storage.values.blobs import PARTIAL, Blobs


@pytest.fixture(params=["directory", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Location:
    if request.param == "directory":
        return locate(tmp_path)
    return locate(f"memory://blobs-{tmp_path.name}/x")


@pytest.mark.parametrize("size", [0, 10, 3 << 20])
def test_a_blob_is_what_was_put(place: Location, size: int) -> None:
    blobs = Blobs(place)
    data = np.arange(size, dtype=np.uint8).tobytes()
    blobs.put("ab/cd", [data[:5], memoryview(data)[5:]])
    found = pickle.loads(pickle.dumps(blobs)).get("ab/cd")
    assert found is not None
    assert bytes(found) == data
    assert Blobs(place).has("ab/cd", size)
    assert [entry.key for entry in blobs.entries()] == ["ab/cd"]
    blobs.delete(["ab/cd", "gone"])
    assert blobs.get("ab/cd") is None


def test_what_is_read_can_be_changed_without_changing_the_blob(tmp_path: Path) -> None:
    blobs = Blobs(locate(tmp_path))
    for size in (100, 2 << 20):
        blobs.put("x", [bytes(size)])
        found = blobs.get("x")
        assert found is not None
        found[0] = 1
        again = blobs.get("x")
        assert again is not None
        assert again[0] == 0


@given(damage=st.data())
def test_a_damaged_blob_is_no_blob_and_is_removed(
    tmp_path_factory: pytest.TempPathFactory, damage: st.DataObject
) -> None:
    root = tmp_path_factory.mktemp("blobs")
    blobs = Blobs(locate(root))
    blobs.put("x", [b"some bytes of a value"])
    whole = (root / "x").read_bytes()
    if damage.draw(st.booleans(), label="cut"):
        (root / "x").write_bytes(whole[: damage.draw(st.integers(0, len(whole) - 1))])
    else:
        at = damage.draw(st.integers(0, len(whole) - 1))
        flipped = whole[at] ^ damage.draw(st.integers(1, 255))
        (root / "x").write_bytes(whole[:at] + bytes([flipped]) + whole[at + 1 :])
    assert blobs.get("x") is None
    assert not (root / "x").exists()


def test_nothing_is_made_of_a_folder_that_is_not_there(tmp_path: Path) -> None:
    blobs = Blobs(locate(tmp_path / "elsewhere"))
    with pytest.raises(FileNotFoundError):
        blobs.put("values/x", [b"1"])
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "values").write_bytes(b"a file where a folder is needed")
    with pytest.raises(StorageError, match="values/x"):
        Blobs(locate(tmp_path)).put("values/x", [b"1"])
    assert [path.name for path in tmp_path.iterdir()] == ["values"]


def test_files_that_are_being_written_are_no_blobs(tmp_path: Path) -> None:
    (tmp_path / f"{PARTIAL}0").write_bytes(b"half")
    assert list(Blobs(locate(tmp_path)).entries()) == []
