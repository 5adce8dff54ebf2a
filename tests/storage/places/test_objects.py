"""Small objects in stores of every kind: written once, replaced by version, listed, and removed together."""

import itertools

import pytest
from zarr.storage import FsspecStore, LoggingStore, MemoryStore, ObjectStore, WrapperStore

from asyncexec.storage.places.locations import locate
from asyncexec.storage.places.objects import client_of, objects_at
from tests.object_stores.servers import make_bucket, s3_options

NUMBERS = itertools.count()
obstore = pytest.importorskip("obstore")
pytest_plugins = ["tests.object_stores.fixtures"]


class Renaming(WrapperStore):
    """A wrapper that keeps everything below a folder of its own."""

    async def get(self, key, *args, **options):
        return await super().get(f"inner/{key}", *args, **options)

    async def set(self, key, value, *args, **options):
        await super().set(f"inner/{key}", value, *args, **options)


def s3_place(url, **options):
    make_bucket(url, "objects")
    return locate("s3://objects", s3_options(url, **options))


@pytest.fixture(
    params=["memory", "obstore-memory", "obstore-local", "fsspec", "s3"], scope="module"
)
def place(request, tmp_path_factory):
    """A place of each kind."""
    match request.param:
        case "memory":
            return locate(MemoryStore())
        case "obstore-memory":
            return locate(ObjectStore(obstore.store.MemoryStore()))
        case "obstore-local":
            folder = str(tmp_path_factory.mktemp("objects"))
            return locate(ObjectStore(obstore.store.LocalStore(folder)))
        case "fsspec":
            return locate(FsspecStore.from_url("memory://objects"))
    return s3_place(request.getfixturevalue("moto_url"))


@pytest.fixture
def objects(place):
    """An empty folder there."""
    return objects_at(place.join(f"folder-{next(NUMBERS)}/x"))


def test_what_is_put_is_read_back_and_what_is_not_there_is_none(objects):
    assert objects.get("name") is None
    assert objects.fetch("name") is None
    assert objects.is_empty()
    objects.put("name", b"one")
    objects.put("folder/other", b"two")
    assert objects.get("name") == b"one"
    assert objects.read(["name", "none", "folder/other"]) == {
        "name": b"one",
        "folder/other": b"two",
    }
    assert not objects.is_empty()


def test_what_is_there_is_not_created_again(objects):
    assert objects.create("name", b"first")
    assert not objects.create("name", b"second")
    assert objects.get("name") == b"first"


def test_an_object_is_replaced_only_as_the_version_that_was_seen(objects):
    objects.put("name", b"one")
    seen = objects.fetch("name")
    assert objects.replace("name", b"two", seen.version)
    assert not objects.replace("name", b"three", seen.version)
    assert objects.get("name") == b"two"
    assert objects.replace("name", b"four", objects.fetch("name").version)


def test_an_object_that_is_gone_is_not_replaced(objects):
    objects.put("name", b"one")
    seen = objects.fetch("name")
    objects.remove("name")
    assert not objects.replace("name", b"two", seen.version)
    assert objects.get("name") is None


def test_names_are_those_that_begin_with_a_prefix(objects):
    for name in ["c", "c/0/0", "c/0/1", "c.0.0", "zarr.json", "0.0"]:
        objects.put(name.replace("c/", "d/"), b"data")
    assert sorted(objects.names()) == ["0.0", "c", "c.0.0", "d/0/0", "d/0/1", "zarr.json"]
    assert sorted(objects.names("c.")) == ["c.0.0"]
    assert sorted(objects.names("d/")) == ["d/0/0", "d/0/1"]
    assert sorted(objects.names("d/0/1")) == ["d/0/1"]
    assert list(objects.names("e/")) == []
    assert {found.name: found.size for found in objects.listed("d")} == {"d/0/0": 4, "d/0/1": 4}


def test_many_are_removed_together_and_what_is_gone_is_no_error(objects):
    names = [f"c/{number}" for number in range(7)]
    for name in names:
        objects.put(name, b"data")
    objects.remove_all([*names[:4], "c/none"])
    assert sorted(objects.names()) == names[4:]
    objects.remove("c/none")
    objects.delete(last=["c/6"])
    assert objects.is_empty()


def test_two_thousand_objects_are_removed_by_a_few_requests(proxy, bucket):
    client = obstore.store.from_url(f"s3://{bucket}", **s3_options(proxy.url))
    objects = objects_at(locate(ObjectStore(client), path="x"))
    names = [f"c/{number}" for number in range(2000)]
    # Nothing needs to be there: what counts are the requests.
    objects.remove_all(names)
    assert sum(proxy.counts.values()) == 2


@pytest.mark.parametrize("wrapper", [LoggingStore, Renaming])
def test_wrappers_of_others_are_asked_as_they_are(wrapper):
    store = wrapper(ObjectStore(obstore.store.MemoryStore()))
    assert client_of(store) is None
    objects = objects_at(locate(store, path="x"))
    objects.put("name", b"one")
    assert objects.get("name") == b"one"
    if wrapper is Renaming:
        assert [o["path"] for o in store._store.store.list().collect()] == ["inner/x/name"]


class Unconditional:
    """Obstore's functions on a server that answers 501 to conditional writes."""

    def __init__(self, monkeypatch):
        self.refused = 0
        put = obstore.put

        def put_plainly(client, key, data, *, mode=None, attributes=None, **options):
            if mode is not None or attributes:
                self.refused += 1
                raise obstore.exceptions.GenericError("status code: 501 Not Implemented")
            return put(client, key, data, **options)

        monkeypatch.setattr(obstore, "put", put_plainly)


def test_a_store_without_conditional_writes_is_asked_for_them_once(monkeypatch):
    server = Unconditional(monkeypatch)
    objects = objects_at(locate(ObjectStore(obstore.store.MemoryStore()), path="x"))
    assert objects.create("name", b"one")
    assert not objects.create("name", b"two")
    seen = objects.fetch("name")
    assert objects.replace("name", b"three", seen.version)
    assert not objects.replace("name", b"four", seen.version)
    assert objects.get("name") == b"three"
    # By two requests at once, of which the second may not begin.
    assert server.refused in (1, 2)


def counted_puts(monkeypatch, **forced):
    """Return the list of names that are put from now on, each with ``forced`` options."""
    names = []
    put = obstore.put

    def put_and_count(client, key, data, **options):
        names.append(key)
        return put(client, key, data, **options | forced)

    monkeypatch.setattr(obstore, "put", put_and_count)
    return names


def test_a_store_that_keeps_conditions_is_asked_once_by_two_requests(monkeypatch):
    names = counted_puts(monkeypatch)
    objects = objects_at(locate(ObjectStore(obstore.store.MemoryStore())))
    assert objects.create("first", b"one") == objects.fetch("first").version
    assert objects.create("second", b"one") == objects.fetch("second").version
    assert not objects.create("second", b"two")
    assert names == ["first", "first", "second", "second"]


def test_in_a_store_that_ignores_conditions_what_is_created_is_read_again(monkeypatch):
    names = counted_puts(monkeypatch, mode="overwrite")
    objects = objects_at(locate(ObjectStore(obstore.store.MemoryStore())))
    assert objects.create("first", b"one")
    assert objects.create("second", b"one")
    assert names == ["first", "first", "second", "second"]
    monkeypatch.setattr(type(objects), "_version_if", lambda *_: "")
    assert not objects.create("third", b"one")
