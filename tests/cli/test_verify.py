"""`asyncexec verify` reads every chunk at a place, and its exit code says whether all is well."""

import json

import pytest

import asyncexec.array as xp
from asyncexec.cli import main
from asyncexec.storage import locate
from asyncexec.storage.places.objects import objects_at
from asyncexec.storage.places.stamps import STAGED, Stamp, stamped


@pytest.fixture
def place(tmp_path):
    xp.to_zarr(xp.ones((4, 4), chunks=(2, 2)), str(tmp_path / "u.zarr"))
    return tmp_path / "u.zarr"


def test_an_array_that_is_whole_is_success(place, capsys):
    assert main(["verify", str(place)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "the array: ok, 4 of 4 chunks stored",
        "all complete and readable",
    ]


def test_what_is_wrong_is_listed_and_the_exit_code_is_1(place, capsys):
    (place / "c" / "0" / "0").write_bytes(b"x")
    (place / "c" / "0" / "1").unlink()
    assert main(["verify", str(place)]) == 1
    out = capsys.readouterr().out
    assert "the array: not ok, 3 of 4 chunks stored" in out
    assert "1 chunks not stored (fill value)" in out
    assert "c/0/0: it cannot be decompressed" in out
    assert main(["verify", str(place), "--dense"]) == 1
    assert "1 missing: c/0/1" in capsys.readouterr().out


def test_json_has_everything(place, capsys):
    (place / "c" / "0" / "0").unlink()
    assert main(["verify", str(place), "--dense", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is False
    assert told["arrays"][0]["missing"] == {"count": 1, "names": ["c/0/0"]}


def test_a_place_that_is_not_there_is_an_error(tmp_path, capsys):
    assert main(["verify", str(tmp_path / "nowhere")]) == 2
    assert "there is no folder" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert main(["verify", str(tmp_path / "empty")]) == 2
    assert "no Zarr array or group" in capsys.readouterr().err


def test_options_of_the_store_are_given_to_it(place, capsys):
    assert main(["verify", "s3://nowhere/u", "--option", "region"]) == 2
    assert "--option 'region' is not of the form NAME=VALUE" in capsys.readouterr().err


@pytest.mark.parametrize("whole", [True, False])
def test_an_overwrite_beside_a_whole_array_is_said_and_no_error(capsys, tmp_path, whole):
    url = f"memory://staged-{tmp_path.name}-{whole}/u"
    xp.to_zarr(xp.ones((4, 4), chunks=(2, 2)), url)
    objects = objects_at(locate(url))
    document = json.loads(objects.get("zarr.json"))
    document["chunk_key_encoding"] = {"name": "default", "configuration": {"separator": "."}}
    new = stamped(
        {"zarr.json": json.dumps(document).encode()}, Stamp(run="ab" * 8, unfinished=True)
    )
    objects.put(STAGED, new["zarr.json"])
    objects.put("c.0.0", b"begun")
    if not whole:
        objects.put("c/0/0", b"damaged")
    assert main(["verify", url]) == (0 if whole else 1)
    out = capsys.readouterr().out
    assert "an overwrite is under way, or was left: 2 files" in out
    assert "other files" not in out
