"""Places for arrays: paths, URLs, stores."""

import pickle
import sys
from pathlib import Path

import pytest
from zarr.storage import FsspecStore, LocalStore, MemoryStore, ObjectStore, StorePath

from asyncexec.errors import MissingExtraError, OptionError, StorageError
from asyncexec.storage import join, locate
from asyncexec.storage.places.held_stores import innermost
from asyncexec.storage.places.stores import open_place

CANARY = "canary-5be1"


def test_local_paths_become_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert locate("a/b.zarr").local_path == tmp_path / "a/b.zarr"
    assert locate(Path("a")).local_path == tmp_path / "a"


def test_file_urls_are_local_paths():
    assert locate("file:///data/a%20b.zarr").local_path == Path("/data/a b.zarr")
    assert locate("file:///data").join("x").local_path == Path("/data/x")


@pytest.mark.parametrize(
    "url, path",
    [
        ("file:///data//x/../a/./b/", "/data/a/b"),
        ("file:///data/%2E%2E/a", "/a"),
        ("file:///data/a%3A%2F%2Fb", "/data/a:/b"),
        ("file:///data/a%2520b", "/data/a%20b"),
        ("FILE://localhost//data/", "/data"),
    ],
)
def test_a_file_url_is_a_path_as_any_other(url, path):
    assert locate(url).url == path
    assert locate(url).local_path == Path(path)


@pytest.mark.parametrize(
    "base,joined",
    [
        ("/data", "/data/x"),
        ("/data/", "/data/x"),
        ("/", "/x"),
        ("", "x"),
        ("s3://bucket", "s3://bucket/x"),
        ("s3://bucket/a/", "s3://bucket/a/x"),
        ("https://host/a?sig=1", "https://host/a/x?sig=1"),
        ("run://a", "run://a/x"),
        ("s3://bucket/a?b#c", "s3://bucket/a?b#c/x"),
        ("simplecache::s3://bucket/a", "simplecache::s3://bucket/a/x"),
        ("zip://a::file:///b.zip", "zip://a/x::file:///b.zip"),
        ("reference://::file:///b.json", "reference://x::file:///b.json"),
        ("simplecache::https://host/a?b=c", "simplecache::https://host/a/x?b=c"),
    ],
)
def test_join(base, joined):
    assert join(base, "x") == joined


def test_memory_urls_share_a_store_within_the_process():
    one, other = (
        open_place(locate("memory://shared-1/a")),
        open_place(locate("memory://shared-1/b")),
    )
    assert one.store is not None
    assert one.store._store_dict is other.store._store_dict
    assert (one.path, other.path) == ("a", "b")
    assert open_place(locate("memory://shared-2/a")).store._store_dict is not one.store._store_dict
    assert locate("memory://shared-1/a").process_bound


def test_a_store_handed_in_is_used_with_a_path_in_it():
    store = MemoryStore()
    location = locate(store, path="group/a")
    assert location.process_bound
    assert open_place(location) == StorePath(store, "group/a")
    assert location.join("b").url == "group/a/b"
    hash(location)
    assert locate(StorePath(store, "group/a")) == location


def test_a_local_store_handed_in_is_a_local_path(tmp_path):
    location = locate(LocalStore(tmp_path), path="a")
    assert location.local_path == tmp_path / "a"
    assert not location.process_bound


def test_locate_gives_locations_back(tmp_path):
    location = locate(tmp_path)
    assert locate(location) == location
    assert locate(location, path="x") == location.join("x")


@pytest.mark.parametrize("path", ["a//b", "/a/b/", "a\\b", "a/b"])
def test_a_path_in_a_store_is_spelt_as_readers_of_zarr_spell_it(tmp_path, path):
    for place in (tmp_path, MemoryStore(), "s3://bucket/x"):
        assert locate(place, path=path).inner == "a/b"


@pytest.mark.parametrize("path", ["..", "a/../../b", "./a", ".", "a\\..", 5, None, b"a"])
def test_what_is_no_path_in_a_store_is_refused(tmp_path, path):
    for place in (tmp_path, MemoryStore(), "s3://bucket/x"):
        with pytest.raises(OptionError, match="is no path in a store"):
            locate(place, path=path)


@pytest.mark.parametrize("place", [None, 7, ["a"], ""])
def test_what_is_no_place_is_refused(place):
    with pytest.raises(OptionError, match="no place for an array"):
        locate(place)


def test_object_stores_are_served_by_obstore():
    opened = open_place(locate("s3://bucket/a", {"region": "eu-west-1", "skip_signature": True}))
    assert isinstance(innermost(opened.store), ObjectStore)


def test_other_urls_are_served_by_fsspec(tmp_path):
    opened = open_place(locate(f"simplecache::file://{tmp_path}"))
    assert isinstance(opened.store, FsspecStore)


@pytest.mark.parametrize(
    "url,extra", [("s3://b/a", "s3"), ("gs://b/a", "gcs"), ("az://b/a", "azure")]
)
def test_a_missing_extra_is_answered_with_the_install_command(monkeypatch, url, extra):
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    with pytest.raises(MissingExtraError, match=rf'pip install "asyncexec\[{extra}\]"'):
        open_place(locate(url))


def test_missing_fsspec_is_answered_with_the_install_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(MissingExtraError, match="pip install fsspec"):
        open_place(locate("http://localhost/a"))


def test_wrong_options_are_an_error_without_their_values():
    location = locate(f"s3://user:{CANARY}@bucket/a", {"no_such_option": CANARY})
    with pytest.raises(StorageError, match="Check the URL and storage_options") as caught:
        open_place(location)
    assert CANARY not in str(caught.value)


def test_text_hides_secrets():
    location = locate(f"s3://user:{CANARY}@bucket/a?token={CANARY}", {"secret": CANARY})
    assert str(location) == "s3://bucket/a"
    assert CANARY not in repr(location)
    assert "'secret': ***" in repr(location)


def test_locations_can_be_pickled(tmp_path):
    for location in (locate(tmp_path, {"a": "b"}), locate(LocalStore(tmp_path), path="x")):
        assert pickle.loads(pickle.dumps(location)) == location


@pytest.mark.parametrize("place", ["a\0b", "file:///a%00b", "/a\0/b"])
def test_a_name_with_a_zero_byte_is_no_place(place):
    with pytest.raises(OptionError, match="zero byte"):
        locate(place)
