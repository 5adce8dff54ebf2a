"""Artifacts: files that are whole, metadata, names that lead nowhere else, transactions, on two file systems."""

import errno
import json
import multiprocessing
import os
import pickle
import signal
import uuid
from pathlib import Path

import fsspec
import pytest

import asyncexec as ax
from asyncexec.artifacts import (
    ArtifactStorage,
    check_if_artifact_exists,
    get_artifact,
    list_artifacts,
    new_artifact,
)
from asyncexec.artifacts.artifact import METADATA
from asyncexec.errors import (
    ArtifactNotFoundError,
    MissingExtraError,
    OptionError,
    SerializationError,
    StorageError,
)


@pytest.fixture(params=["file", "memory"])
def place(request, tmp_path):
    """The arguments that say where: a folder, or the file system in memory of fsspec."""
    if request.param == "file":
        return {"base_path": str(tmp_path)}
    return {"protocol": "memory", "base_path": f"/{uuid.uuid4().hex}"}


@pytest.fixture
def artifact(place):
    return new_artifact("model", "space", **place)


def names(artifact):
    return [file.name for file in artifact]


def test_it_is_found_where_it_was_made(place, artifact):
    found = get_artifact("model", "space", **place)
    assert (found.name, found.namespace, found.exists, found.is_empty) == (
        "model",
        "space",
        True,
        True,
    )
    assert found.path.endswith("/artifacts/space/model")
    assert found.uri == f"{place.get('protocol', 'file')}://{found.path}"
    assert check_if_artifact_exists("model", "space", **place)
    assert not check_if_artifact_exists("model", "elsewhere", **place)
    assert [a.name for a in list_artifacts("space", **place)] == ["model"]
    assert list_artifacts("elsewhere", **place) == []


def test_what_is_not_there_is_an_error_that_says_where(place):
    with pytest.raises(FileNotFoundError, match=r"no artifact .*artifacts/default/nothing"):
        get_artifact("nothing", **place)
    assert not get_artifact("something", create=True, **place)
    with pytest.raises(FileExistsError, match=r"an artifact .*something already"):
        new_artifact("something", **place)


def test_files_are_written_read_listed_and_removed(artifact):
    first = artifact.new_file("first.txt", "grüße")
    second = artifact.new_file("second.bin", b"\x00\x01\x02")
    assert (names(artifact), len(list(artifact)), bool(artifact)) == (
        ["first.txt", "second.bin"],
        2,
        True,
    )
    assert (first.read(mode="r"), second.read(), second.read(2)) == (
        "grüße",
        b"\x00\x01\x02",
        b"\x00\x01",
    )
    assert METADATA in [f.name for f in artifact.list_files(include_meta=True)]
    first.write("new")
    assert artifact.get_file("first.txt").read() == b"new"
    second.remove()
    second.remove()
    assert "second.bin" not in artifact
    assert first.path == f"{artifact.path}/first.txt"
    with pytest.raises(ArtifactNotFoundError, match=r"no file 'x': it has .*first\.txt"):
        artifact.get_file("x")
    assert artifact.get_file("x", create=True).read() == b""
    with pytest.raises(FileExistsError):
        artifact.new_file("x", exist_ok=False)
    assert artifact.new_file("first.txt").read() == b"new"


def test_files_are_opened_in_every_mode(artifact):
    file = artifact.new_file("text")
    with file.open("w") as opened:
        opened.write("one\n")
    with file.open("a") as opened:
        opened.write("two\n")
    with file.open("ab") as opened:
        opened.write(b"three\n")
    with file.open() as opened:
        assert opened.read() == "one\ntwo\nthree\n"
    with pytest.raises(OptionError, match="by 'r', 'w' or 'a', not 'r\\+'"), file.open("r+"):
        pass


@pytest.mark.parametrize("mode", ["w", "wb", "a", "ab"])
def test_a_write_that_fails_leaves_what_was_there(artifact, mode):
    file = artifact.new_file("file", b"before")

    def fail():
        with file.open(mode) as opened:
            opened.write(b"half" if "b" in mode else "half")
            opened.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert file.read() == b"before"
    assert names(artifact) == ["file"]


def test_a_reader_sees_the_old_file_until_the_new_one_is_whole(artifact):
    file = artifact.new_file("file", b"before")
    with file.open("wb") as opened:
        opened.write(b"after")
        opened.flush()
        assert file.read() == b"before"
    assert file.read() == b"after"


def test_metadata_are_json(artifact, place):
    artifact["unit"] = "K"
    artifact.set_meta("shape", [2, 3])
    found = get_artifact("model", "space", **place)
    assert (found["unit"], found.get_meta("shape"), found.get_meta("none", 5)) == ("K", [2, 3], 5)
    del artifact["unit"]
    found.del_meta("shape")
    for key in ("unit", "shape"):
        with pytest.raises(KeyError):
            artifact[key]
    with pytest.raises(SerializationError, match="metadata of artifacts are JSON"):
        artifact["bad"] = object()
    assert "bad" not in artifact.metadata


@pytest.mark.parametrize("bad", ["", "a/b", "..", ".", "a b", "a\x00", "ä", "a.b", "x" * 201])
def test_a_name_leads_nowhere_else(tmp_path, bad):
    for function in (get_artifact, new_artifact, check_if_artifact_exists):
        with pytest.raises(OptionError, match="letters, digits"):
            function(bad, base_path=str(tmp_path))
    if bad not in {"", "a.b"}:
        with pytest.raises(OptionError, match="namespace is made of"):
            get_artifact("a", bad, base_path=str(tmp_path))


@pytest.mark.parametrize("bad", ["", "a/b", "..", ".", "a\\b", "a\x00", "x" * 201, "x.partial"])
def test_a_file_leads_nowhere_else(artifact, bad):
    for function in (artifact.new_file, artifact.get_file, artifact.has_file, artifact.delete_file):
        with pytest.raises(OptionError, match="without '/'"):
            function(bad)


def test_the_file_of_the_metadata_is_changed_by_them_alone(artifact):
    artifact["seed"] = 3
    with pytest.raises(OptionError, match="holds the metadata"):
        artifact.new_file(METADATA, "no mapping")
    with pytest.raises(OptionError, match="holds the metadata"):
        artifact.delete_file(METADATA)
    with pytest.raises(OptionError, match="holds the metadata"):
        artifact.get_file(METADATA, create=True).write("no mapping")
    assert artifact["seed"] == 3


@pytest.mark.parametrize("bad", [3, None, b"bytes"])
def test_a_name_is_text(artifact, tmp_path, bad):
    with pytest.raises(OptionError, match="name"):
        new_artifact(bad, base_path=str(tmp_path))
    with pytest.raises(OptionError, match="name"):
        artifact.new_file(bad)


def test_a_transaction_changes_all_or_nothing(artifact):
    artifact.new_file("kept", b"1")
    artifact.new_file("gone", b"2")

    def fail():
        with artifact.transaction():
            artifact.new_file("new", b"3")
            artifact.new_file("kept", b"changed")
            artifact.delete_file("gone")
            artifact["meta"] = 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert names(artifact) == ["gone", "kept"]
    assert artifact.get_file("kept").read() == b"1"
    assert "meta" not in artifact.metadata
    with artifact.transaction() as same:
        assert same is artifact
        artifact.clear()
        artifact.new_file("new", b"3")
        artifact["meta"] = 1
        assert names(artifact) == ["gone", "kept"]
        with pytest.raises(OptionError, match="open already"), artifact.transaction():
            pass
    assert names(artifact) == ["new"]
    assert artifact.metadata == {"meta": 1}


def test_an_artifact_that_is_cleared_stays_and_one_that_is_deleted_goes(artifact):
    artifact.new_file("file", b"1")
    artifact["meta"] = 1
    artifact.clear()
    assert artifact.exists
    assert artifact.is_empty
    assert artifact.metadata == {}
    artifact.delete()
    artifact.delete()
    assert not artifact.exists
    assert not artifact
    with pytest.raises(ArtifactNotFoundError):
        artifact.list_files()
    with pytest.raises(ArtifactNotFoundError):
        artifact["meta"] = 1


def test_it_travels(artifact):
    artifact.new_file("file", b"1")
    assert pickle.loads(pickle.dumps(artifact)).get_file("file").read() == b"1"


def test_damaged_metadata_are_an_error(tmp_path):
    artifact = new_artifact("model", base_path=str(tmp_path))
    for content in ("{", "[]"):
        Path(artifact.path, METADATA).write_text(content)
        with pytest.raises(StorageError, match="metadata of artifact"):
            artifact["x"]


def test_secrets_are_never_shown(tmp_path, monkeypatch):
    secret = "hunter2-token"
    storage = ArtifactStorage(
        protocol="memory",
        base_path="/secret",
        parameters={"token": secret, "nested": {"k": secret}},
    )
    artifact = get_artifact("a", protocol="memory", base_path="/secret", create=True)

    def fail(*_, **__):
        raise OSError(errno.EACCES, f"denied for {secret}")

    shown = [repr(storage), str(storage), repr(artifact), artifact.uri]
    monkeypatch.setattr(fsspec.filesystem("memory"), "put_file", fail)
    monkeypatch.setattr(type(artifact._folder), "storage", storage, raising=False)
    artifact._folder.__dict__["storage"] = storage
    with pytest.raises(StorageError, match=r"cannot be written .*denied for \*\*\*") as caught:
        artifact.new_file("file", b"1")
    shown += [str(caught.value), repr(caught.value.__cause__)]
    assert caught.value.errno == errno.EACCES
    assert not any(secret in text for text in shown)


def test_a_place_must_be_said():
    with pytest.raises(OptionError, match="no place for artifacts: give base_path"):
        get_artifact("a")
    with pytest.raises(OptionError, match="no file system 'fil': protocol is one of"):
        get_artifact("a", protocol="fil", base_path="x")
    with pytest.raises(OptionError, match="no 'base' in object_store"):
        ax.Engine(object_store={"base": "x"})


def test_a_file_system_whose_package_is_missing_is_named(monkeypatch):
    def missing(*_, **__):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec, "filesystem", missing)
    with pytest.raises(MissingExtraError, match=r"s3://bucket/artifacts/.*Install s3fs"):
        check_if_artifact_exists("a", protocol="s3", base_path="bucket")


async def test_tasks_use_the_storage_of_their_run(tmp_path):
    def save(number):
        artifact = get_artifact(f"result-{number}", create=True)
        artifact.new_file("value.json", json.dumps(number))
        return artifact.path

    plan = ax.Plan.map(save, range(3))
    named = ax.Plan(plan.stages, context={"namespace": "mine"})
    async with ax.Engine(
        "processes", executor_options={"max_workers": 1}, object_store={"base_path": str(tmp_path)}
    ) as engine:
        paths = (await engine.execute(named)).value
    assert paths == [f"{tmp_path}/artifacts/mine/result-{n}" for n in range(3)]
    assert [
        a.get_file("value.json").read() for a in list_artifacts("mine", base_path=str(tmp_path))
    ] == [b"0", b"1", b"2"]


def _write_until_killed(path):
    artifact = get_artifact("a", base_path=path)
    with artifact.new_file("file").open("wb") as file:
        file.write(b"half")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_writer_that_is_killed_leaves_the_old_file(tmp_path):
    artifact = new_artifact("a", base_path=str(tmp_path))
    artifact.new_file("file", b"before")
    process = multiprocessing.get_context("forkserver").Process(
        target=_write_until_killed, args=(str(tmp_path),)
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert artifact.get_file("file").read() == b"before"
    assert names(artifact) == ["file"]
