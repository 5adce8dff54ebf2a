"""What the stores that tests run against can do of what the engine asks of stores, through obstore.

| | moto | ministack | Azurite | obstore's MemoryStore |
|---|---|---|---|---|
| a PUT of what is there already is refused when asked (`If-None-Match: *`) | yes | yes | yes | yes |
| a PUT of another version than the one named is refused (`If-Match`) | yes | yes | yes | yes |
| attributes come back with the object | yes | yes | yes | yes |
| with a hyphen in their name | yes | yes | no | yes |
| of many such PUTs at once, one succeeds | no | yes | yes | yes |
"""

import asyncio

import pytest

from tests.object_stores import servers

obstore = pytest.importorskip("obstore")
pytest_plugins = ["tests.object_stores.fixtures"]

BACKEND = pytest.mark.backend


@pytest.fixture(
    params=["moto", pytest.param("ministack", marks=BACKEND), "azurite", "memory"], scope="module"
)
def store(request):
    """A store of each kind."""
    from obstore.store import MemoryStore, from_url

    if request.param == "memory":
        return MemoryStore()
    url = request.getfixturevalue(f"{request.param}_url")
    if request.param == "azurite":
        servers.make_container(url, "features")
        return from_url("az://features", **servers.azure_options(url))
    servers.make_bucket(url, "features")
    return from_url("s3://features", **servers.s3_options(url))


def test_a_put_of_what_is_there_already_is_refused_when_asked(store):
    obstore.put(store, "created", b"first", mode="create")
    with pytest.raises(obstore.exceptions.AlreadyExistsError):
        obstore.put(store, "created", b"second", mode="create")
    assert bytes(obstore.get(store, "created").bytes()) == b"first"


def test_a_put_of_another_version_than_the_one_named_is_refused(store):
    old = obstore.put(store, "updated", b"first")
    obstore.put(store, "updated", b"second", mode={"e_tag": old["e_tag"]})
    with pytest.raises(obstore.exceptions.PreconditionError):
        obstore.put(store, "updated", b"third", mode={"e_tag": old["e_tag"]})
    assert bytes(obstore.get(store, "updated").bytes()) == b"second"


@pytest.mark.parametrize("mode", ["create", "overwrite"])
def test_attributes_come_back_with_the_object(store, mode):
    key, attributes = f"attributes-{mode}", {"asyncexecgeneration": "plan-run"}
    obstore.put(store, key, b"data", attributes=attributes, mode=mode)
    assert obstore.get(store, key).attributes["asyncexecgeneration"] == "plan-run"
    found = obstore.get(store, key, options={"head": True})
    assert found.attributes["asyncexecgeneration"] == "plan-run"


def test_azure_refuses_attributes_with_a_hyphen_in_their_name(store, request):
    if "azurite" not in request.node.name:
        pytest.skip("the others take them")
    with pytest.raises(obstore.exceptions.BaseError, match="InvalidMetadata"):
        obstore.put(store, "hyphen", b"data", attributes={"of-a-run": "x"})


async def test_of_many_conditional_puts_at_once_one_succeeds(store, request):
    if "moto" in request.node.name:
        pytest.skip("moto looks first and writes then")

    async def put(number):
        try:
            await obstore.put_async(store, "raced", b"%d" % number, mode="create")
        except obstore.exceptions.AlreadyExistsError:
            return False
        return True

    won = await asyncio.gather(*(put(number) for number in range(32)))
    assert sum(won) == 1
