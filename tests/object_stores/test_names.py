"""Names of objects keep every character, and one place has one name, on servers that know nothing of asyncexec."""

import numpy as np
import pytest
import zarr
from zarr.storage import LoggingStore, ObjectStore

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.errors import AsyncexecError, OptionError, WorkDirError
from asyncexec.storage import create_array, planned_array, write
from tests.object_stores.servers import azure_options, make_bucket, make_container, s3_options

obstore = pytest.importorskip("obstore")
pytest_plugins = ["tests.object_stores.fixtures"]

NAMES = {
    "run#1/u.zarr": "run#1/u.zarr",
    "run#2/u.zarr": "run#2/u.zarr",
    "a?b/c?d": "a?b/c?d",
    "e%3Ff": "e?f",
    "a b+c&d=e": "a b+c&d=e",
    "5%/x": "5%/x",
    "50%25": "50%",
    "g%2520h": "g%20h",
    "größe/x": "größe/x",
    "i//j/./k/../l/": "i/j/l",
    "(x) [y] {z} 'q' ~*!": "(x) [y] {z} 'q' ~*!",
}


@pytest.fixture
def s3(moto_url):
    return s3_options(moto_url)


@pytest.fixture(params=["s3", "azure"], scope="module")
def store_and_place(request):
    """A store of obstore's for a bucket, the URL of the bucket, and the options for asyncexec."""
    from obstore.store import AzureStore, S3Store

    if request.param == "azure":
        url = request.getfixturevalue("azurite_url")
        make_container(url, "names")
        options = azure_options(url)
        return AzureStore("names", **options), "az://names", options
    url = request.getfixturevalue("moto_url")
    make_bucket(url, "names")
    options = s3_options(url)
    return S3Store("names", **options), "s3://names", options


def test_every_character_of_a_name_is_kept(store_and_place):
    store, place, options = store_and_place
    for number, name in enumerate(NAMES):
        ref = planned_array(
            f"{place}/{name}", shape=(3,), dtype="i8", chunks=(3,), storage_options=options
        )
        create_array(ref)
        write(ref, (slice(0, 3),), np.arange(3) + number)
    names = {each["path"] for batch in obstore.list(store) for each in batch}
    assert {n.removesuffix("/zarr.json") for n in names if n.endswith("zarr.json")} == set(
        NAMES.values()
    )
    for number, name in enumerate(NAMES):
        found = xp.from_zarr(f"{place}/{name}", storage_options=options)
        assert found.compute().tolist() == [number, number + 1, number + 2]


@pytest.mark.parametrize("url", ["s3://box/a\\b", "az://box/a%5Cb"])
def test_a_backslash_which_zarr_takes_for_a_slash_is_refused(url):
    with pytest.raises(AsyncexecError, match="a backslash"):
        xp.from_zarr(url, storage_options={"account_name": "a"} if url[0] == "a" else None)


def test_a_name_reads_the_same_in_libraries_that_decode_nothing(bucket, s3, moto_url):
    pytest.importorskip("s3fs")
    x = xp.arange(4, chunks=2)
    place = f"s3://{bucket}/run#1/a?b c"
    xp.to_zarr(x, place, storage_options=s3)
    keys = {"key": s3["access_key_id"], "secret": s3["secret_access_key"]}
    read = zarr.open_array(place, mode="r", storage_options={"endpoint_url": moto_url, **keys})
    assert read[:].tolist() == [0, 1, 2, 3]


def test_an_endpoint_of_the_environment_is_the_same_place(bucket, s3, monkeypatch):
    xp.to_zarr(xp.arange(4, chunks=2), f"s3://{bucket}/x", storage_options=s3)
    for name in ("access_key_id", "secret_access_key", "region"):
        monkeypatch.setenv(f"AWS_{name.upper()}", s3[name])
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3["endpoint"])
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    x = xp.from_zarr(f"s3://{bucket}/x")
    assert x.compute().tolist() == [0, 1, 2, 3]
    with pytest.raises(OptionError, match="still reads"):
        xp.to_zarr(x + 1, f"s3://{bucket}/x", storage_options=s3, overwrite=True)
    xp.to_zarr(x + 1, f"s3://{bucket}/y")
    assert xp.from_zarr(f"s3://{bucket}/y", storage_options=s3).compute().tolist() == [1, 2, 3, 4]


def stored(bucket, options):
    """The names of all objects in a bucket."""
    from obstore.store import S3Store

    found = obstore.list(S3Store(bucket, **options))
    return [each["path"] for batch in found for each in batch]


def spellings(bucket, options):
    """Other ways to name ``x.zarr`` in a bucket: place, and its options."""
    from obstore.store import S3Store

    endpoint = options["endpoint"]
    store = ObjectStore(S3Store(bucket, **options))
    return {
        "s3a": (f"s3a://{bucket}/x.zarr", options),
        "capitals": (f"S3://{bucket}/x.zarr", options),
        "dot": (f"s3://{bucket}/./x.zarr", options),
        "slashes": (f"s3://{bucket}//x.zarr/", options),
        "encoded": (f"s3://{bucket}/x%2Ezarr", options),
        "endpoint": (
            f"s3://{bucket}/x.zarr",
            {**{n: v for n, v in options.items() if n != "endpoint"}, "aws_endpoint_url": endpoint},
        ),
        "store": (zarr.storage.StorePath(store, "x.zarr"), None),
        "prefix": (ObjectStore(S3Store(bucket, prefix="x.zarr", **options)), None),
        "logging": (zarr.storage.StorePath(LoggingStore(store), "x.zarr"), None),
    }


def test_no_spelling_of_an_input_lets_a_result_replace_it(bucket, s3):
    xp.to_zarr(xp.arange(4, chunks=2), f"s3://{bucket}/x.zarr", storage_options=s3)
    for spelling, (place, options) in spellings(bucket, s3).items():
        x = xp.from_zarr(f"s3://{bucket}/x.zarr", storage_options=s3)
        with pytest.raises(OptionError, match="still reads"):
            xp.to_zarr(x + 1, place, storage_options=options, overwrite=True)
        again = xp.from_zarr(place, storage_options=options)
        with pytest.raises(OptionError, match="still reads"):
            xp.to_zarr(again + 1, f"s3://{bucket}/x.zarr", storage_options=s3, overwrite=True)
        assert again.compute().tolist() == [0, 1, 2, 3], spelling


def test_a_server_with_two_names_is_found_out_by_a_probe(bucket, s3, proxy):
    other = s3 | {"endpoint": proxy.url}
    xp.to_zarr(xp.arange(4, chunks=2), f"s3://{bucket}/x", storage_options=s3)
    x = xp.from_zarr(f"s3://{bucket}/x", storage_options=other)
    with pytest.raises(OptionError, match="is the same place as"):
        xp.to_zarr(x + 1, f"s3://{bucket}/x", storage_options=s3, overwrite=True)
    assert x.compute().tolist() == [0, 1, 2, 3]
    assert not [name for name in stored(bucket, s3) if "probe" in name]


def test_two_targets_at_one_place_are_refused_as_they_were_spelt(bucket, s3):
    x = xp.arange(4, chunks=2)
    with pytest.raises(OptionError) as caught:
        xp.store([x, x], [f"s3://{bucket}/x", f"s3a://{bucket}/./x"], storage_options=s3)
    assert f"s3://{bucket}/x" in str(caught.value)
    assert f"s3a://{bucket}/./x" in str(caught.value)
    with pytest.raises(OptionError, match="inside of the other"):
        xp.store([x, x], [f"s3://{bucket}/x", f"s3a://{bucket}/x/y"], storage_options=s3)


@pytest.mark.parametrize("inside", ["", "/work"])
async def test_a_work_directory_in_a_target_is_refused_before_anything_is_made(bucket, s3, inside):
    spec = xp.Spec(work_dir=f"s3a://{bucket}/./x{inside}", storage_options=s3)
    x = xp.arange(4, chunks=2, spec=spec)
    with pytest.raises(WorkDirError, match=f"s3a://{bucket}/./x{inside} is at the array s3://"):
        await ax.execute(xp.store([x], [f"s3://{bucket}/x"]))
    assert not stored(bucket, s3)


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket/x?X-Amz-Signature=canary&X-Amz-Credential=canary",
        "az://container/x?sv=2021&sig=canary",
        "gs://bucket/x?X-Goog-Signature=canary",
        "s3://me:canary@bucket/x",
        "s3://bucket/x?token=canary",
    ],
)
def test_signatures_and_logins_in_urls_are_refused_and_not_shown(url):
    for use in (lambda: xp.from_zarr(url), lambda: xp.to_zarr(xp.arange(2), url)):
        with pytest.raises(AsyncexecError, match="storage_options") as caught:
            use()
        assert "canary" not in str(caught.value)
