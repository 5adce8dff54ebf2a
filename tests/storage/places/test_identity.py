"""One place has one name, however it is spelt."""

import os
from pathlib import Path

import pytest
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem
from zarr.storage import FsspecStore, LocalStore, LoggingStore, MemoryStore, ObjectStore

from asyncexec.errors import OptionError
from asyncexec.storage import locate
from asyncexec.storage.places.identity import contains, identity, overlaps

SERVER = "http://127.0.0.1:9000"
S3 = {"endpoint": SERVER, "region": "us-east-1", "client_options": {"allow_http": True}}

SPELLINGS = [
    ("s3a://bucket/a/b", S3),
    ("S3://bucket/a/b", S3),
    ("s3://bucket/a/b/", S3),
    ("s3://bucket/a/./b", S3),
    ("s3://bucket/a//b", S3),
    ("s3://bucket/c/../a/b", S3),
    ("s3://bucket/%61/b", S3),
    ("s3://bucket/a%2Fb", S3),
    ("s3://bucket/a/b", {"AWS_ENDPOINT_URL": SERVER}),
    ("s3://bucket/a/b", {"aws_endpoint": f"{SERVER}/"}),
    ("s3://bucket/a/b", {"endpoint_url": "http://localhost:9000"}),
    ("s3://bucket/a/b", {"config": {"endpoint": SERVER}}),
    ("http://127.0.0.1:9000/bucket/a/b?x=1", {}),
    ("simplecache::s3://bucket/a/b", {"s3": {"endpoint_url": SERVER}}),
]


def named(url, options=None, **kwargs):
    return identity(locate(url, options, **kwargs))


@pytest.mark.parametrize("url,options", SPELLINGS)
def test_all_spellings_of_a_place_in_a_bucket_have_one_name(url, options):
    assert named(url, options) == named("s3://bucket/a/b", S3)


def test_the_endpoint_of_the_environment_counts(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", SERVER)
    assert named("s3://bucket/a/b") == named("s3://bucket/a/b", S3)
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    assert named("s3://bucket/a/b") != named("s3://bucket/a/b", S3)


@pytest.mark.parametrize(
    "one,other",
    [
        ("s3://bucket/a", "s3://bucket/A"),
        ("s3://bucket/a", "s3://other/a"),
        ("s3://bucket/a", "gs://bucket/a"),
        ("s3://bucket/run#1/u", "s3://bucket/run#2/u"),
        ("s3://bucket/run?1/u", "s3://bucket/run?2/u"),
        ("memory://a/b", "memory://a/c"),
        ("az://container/x", "s3://container/x"),
    ],
)
def test_other_places_have_other_names(one, other):
    assert named(one) != named(other)
    assert not overlaps(locate(one), locate(other))


@pytest.mark.parametrize(
    "one,other",
    [
        ("gs://bucket/a", "gcs://bucket/a"),
        ("gs://bucket/a", "https://storage.googleapis.com/bucket/a"),
        ("s3://bucket/a", "https://bucket.s3.eu-west-1.amazonaws.com/a"),
        ("s3://bucket/a", "https://s3.amazonaws.com/bucket/a"),
        ("abfss://box@acc.dfs.core.windows.net/a", "https://acc.blob.core.windows.net/box/a"),
        ("memory://a/b", "MEMORY://a//b/"),
        ("http://HOST:80/a", "http://host/a"),
        ("http://host.:8000/a", "http://host:8000/a"),
        ("adl://box/a", "az://box/a"),
        ("file:/tmp/x", "/tmp/x"),
        ("zip://a::/tmp/x.zip", "zip://a::file:///tmp/x.zip"),
        ("simplecache::file:///tmp/x%41", "/tmp/x%41"),
        ("~/x", str(Path("~/x").expanduser())),
        ("file:///tmp/a%20b", "/tmp/a b"),
        ("file:///tmp/run#1/x?y", "/tmp/run#1/x?y"),
        ("local:///tmp/x", "file://localhost/tmp/x"),
    ],
)
def test_schemes_and_hosts_of_one_kind_are_the_same(one, other):
    assert named(one) == named(other)


def test_accounts_are_told_apart_and_found_in_options_and_environment(monkeypatch):
    place = named("az://box/a", {"account_name": "acc"})
    assert place == named("abfs://box@acc.dfs.core.windows.net/a")
    assert place == named("azure://box/a", {"AZURE_STORAGE_ACCOUNT_NAME": "acc"})
    assert place != named("az://box/a", {"account_name": "other"})
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "acc")
    assert place == named("az://box/a")


def test_a_bucket_in_the_name_of_the_server_is_not_another_one():
    options = {"endpoint": "http://bucket.minio.lan:9000", "virtual_hosted_style_request": "true"}
    assert named("s3://bucket/a", options) == named(
        "s3://bucket/a", {"endpoint": "http://minio.lan:9000"}
    )


def test_a_bucket_in_the_name_of_amazons_server_is_not_another_one():
    options = {"endpoint": "https://bucket.s3.eu-west-1.amazonaws.com"}
    assert named("s3://bucket/a", options) == named("s3://bucket/a")


@pytest.mark.parametrize("url", ["s3:/bucket/x", "GS:/b/x", "simplecache::s3:/b/x", "https:/h/x"])
def test_a_url_that_has_lost_a_slash_is_no_path(url):
    with pytest.raises(OptionError, match="leaves out one slash"):
        locate(Path(url))


def test_stores_of_obstore_have_the_names_of_their_urls(tmp_path):
    obstore = pytest.importorskip("obstore.store")
    store = obstore.S3Store("bucket", prefix="a", **S3)
    assert named(ObjectStore(store), path="b") == named("s3://bucket/a/b", S3)
    store = obstore.AzureStore("box", account_name="acc")
    assert named(ObjectStore(store), path="b") == named("az://box/b", {"account_name": "acc"})
    store = obstore.GCSStore("bucket", skip_signature=True)
    assert named(ObjectStore(store), path="b") == named("gs://bucket/b")
    assert named(ObjectStore(obstore.LocalStore(tmp_path)), path="b") == str(tmp_path / "b")
    memory = obstore.MemoryStore()
    assert named(ObjectStore(memory)) == named(ObjectStore(memory))
    assert named(ObjectStore(memory)) != named(ObjectStore(obstore.MemoryStore()))


def test_file_systems_of_fsspec_have_the_names_of_their_urls(tmp_path):
    local = FsspecStore.from_url(f"file://{tmp_path}/a")
    assert named(local, path="b") == str(tmp_path / "a/b")
    cached = FsspecStore.from_url(f"simplecache::file://{tmp_path}/a")
    assert named(cached, path="b") == str(tmp_path / "a/b")
    folder = AsyncFileSystemWrapper(
        DirFileSystem(str(tmp_path / "a"), LocalFileSystem()), asynchronous=True
    )
    assert named(FsspecStore(folder, path=""), path="b") == str(tmp_path / "a/b")
    memory = FsspecStore.from_url("memory://a")
    assert named(memory, path="b") == named("simplecache::memory://a/b")


def test_a_bucket_of_s3fs_has_the_name_of_its_url():
    pytest.importorskip("s3fs")
    store = FsspecStore.from_url(
        "s3://bucket/a", storage_options={"endpoint_url": SERVER, "key": "k", "secret": "s"}
    )
    assert named(store, path="b") == named("s3://bucket/a/b", S3)


def test_stores_over_one_dictionary_are_one_place():
    held = {}
    one, other = MemoryStore(held), LoggingStore(MemoryStore(held))
    assert named(one, path="a") == named(other, path="a")
    assert named(one, path="a") != named(MemoryStore({}), path="a")


def test_a_subclass_of_a_local_store_is_where_its_files_are(tmp_path):
    class Own(LocalStore):
        pass

    assert named(Own(tmp_path), path="a") == str(tmp_path / "a")


def test_one_session_of_icechunk_is_one_place_and_two_are_two():
    icechunk = pytest.importorskip("icechunk")
    repository = icechunk.Repository.create(icechunk.in_memory_storage())
    session, other = repository.writable_session("main"), repository.writable_session("main")
    one, again = session.store, session.store
    assert named(one, path="a") == named(again, path="a")
    assert named(one, path="a") != named(other.store, path="a")


def test_links_are_followed_also_to_what_is_not_there_yet(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert named(tmp_path / "link/x") == named(tmp_path / "real/x")


def test_a_directory_that_two_paths_lead_to_is_one_place(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    stat = os.stat
    # As a bind mount would have it.
    monkeypatch.setattr(
        os, "stat", lambda path: stat(tmp_path / "a" if path == str(tmp_path / "b") else path)
    )
    assert overlaps(locate(tmp_path / "a/x"), locate(tmp_path / "b/x/y"))
    assert not overlaps(locate(tmp_path / "a/x"), locate(tmp_path / "b/z"))


@pytest.mark.parametrize(
    "outer,inner", [("/d/x", "/d/x/y"), ("s3://b/x", "s3://b/x/y"), ("memory://a", "memory://a/b")]
)
def test_what_is_inside_of_a_place_overlaps_it(outer, inner):
    assert overlaps(locate(outer), locate(inner))
    assert overlaps(locate(inner), locate(outer))
    assert contains(locate(outer), locate(inner))
    assert not contains(locate(inner), locate(outer))
    assert not overlaps(locate(f"{outer}1"), locate(inner))


@pytest.mark.parametrize(
    "url",
    [
        "s3://b/run#1/a?b c.zarr",
        "s3://b/50%25/x",
        "s3://b/a%2520b",
        "az://c/ü/\\x",
        "gs://b/a+b&c=d",
    ],
)
def test_a_url_that_is_shown_leads_to_the_same_place(url):
    location = locate(url)
    assert locate(str(location)) == location
    assert identity(locate(str(location))) == identity(location)
