"""Errors of refused requests: one line that names the place, the right or the option, and what to do; asked once."""

import logging
import pickle

import numpy as np
import pytest

import asyncexec as ax
from asyncexec.errors import (
    StorageAccessError,
    StorageError,
    StorageRefusedError,
    StorageUnavailableError,
    TaskFailedError,
)
from tests.object_stores.proxy import CODES, fault_proxy
from tests.storage.fake_s3 import serving

xp = pytest.importorskip("asyncexec.array")
pytest.importorskip("obstore")

SECRET = "canary-17aa"
KEYS = {"access_key_id": "AKIA", "secret_access_key": SECRET, "region": "us-east-1"}
DATA = np.arange(16.0).reshape(4, 4)


@pytest.fixture(scope="module")
def proxy():
    with serving() as (_, options), fault_proxy(options["endpoint"]) as proxy:
        xp.to_zarr(
            xp.asarray(DATA, chunks=(2, 2)),
            "s3://bucket/in.zarr",
            storage_options=options_of(proxy),
        )
        yield proxy


@pytest.fixture(autouse=True)
def _unharmed(proxy):
    yield
    proxy.clear()


def options_of(proxy, **more):
    return {"endpoint": proxy.url, **KEYS, "client_options": {"allow_http": True}, **more}


def opened(proxy, **more):
    return xp.from_zarr("s3://bucket/in.zarr", storage_options=options_of(proxy, **more))


def checked(error, *words):
    text = str(error)
    assert "\n" not in text
    assert SECRET not in text
    assert [word for word in words if word not in text] == []
    assert type(pickle.loads(pickle.dumps(error))) is type(error)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"client_options": {}}, ["allow_http", "http://127.0.0.1"]),
        ({"allow_http": "true"}, ["allow_http", "client_options"]),
        ({"region": 3}, ["region", "int"]),
        ({"region": None}, ["region", "NoneType"]),
        ({"client_options": "x"}, ["client_options", "str"]),
        ({"client_options": {"timeout": 3}}, ["client_options.timeout", "int"]),
        ({"client_options": {"timeout": SECRET}}, ["Duration"]),
        ({"regoin": "x"}, ["'regoin'", "region may be meant"]),
        ({"key": "x"}, ["'key'", "access_key_id"]),
        ({"endpoint": "127.0.0.1:9"}, ["endpoint", "http://"]),
        ({"endpoint": "http://127.0.0.1:port"}, ["endpoint", "http://"]),
        ({"endpoint": ""}, ["endpoint", "http://"]),
        ({"endpoint": "http://a host"}, ["endpoint", "http://"]),
        ({"token": "x\n"}, ["token", "line break"]),
        ({"region": "eu-west-1\n"}, ["region", "line break"]),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_a_wrong_option_is_named(proxy, options, words):
    asked = len(proxy.requests)
    with pytest.raises(StorageRefusedError) as caught:
        opened(proxy, **options)
    checked(caught.value, "s3://bucket/in.zarr", "storage_options", *words)
    assert caught.value.permanent
    assert len(proxy.requests) == asked


def test_a_variable_that_makes_no_request_is_named(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "127.0.0.1:9")
    with pytest.raises(StorageRefusedError) as caught:
        xp.from_zarr("s3://bucket/in.zarr", storage_options=KEYS)
    checked(caught.value, "s3://bucket/in.zarr", "AWS_ENDPOINT_URL", "http://")


def test_a_store_that_panics_ends_in_an_error():
    from obstore.store import S3Store
    from zarr.storage import ObjectStore

    store = ObjectStore(S3Store("bucket", endpoint="127.0.0.1:9", **KEYS))
    with pytest.raises(StorageError) as caught:
        xp.from_zarr(store)
    checked(caught.value, "Check the endpoint")
    # As by libraries that pickle exceptions with what they came of.
    error = caught.value
    while error is not None:
        assert type(error).__name__ != "PanicException"
        error = error.__context__


def test_missing_credentials_are_named(proxy, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(StorageAccessError) as caught:
        xp.from_zarr(
            "s3://bucket/in.zarr", storage_options={"access_key_id": "x", "region": "eu-west-1"}
        )
    checked(caught.value, "no credentials", "skip_signature")


def test_a_missing_bucket_is_named_when_reading_and_when_writing(proxy, monkeypatch):
    proxy.on("*", "absent/*", does="answer", status=404, times=None)
    proxy.on("*", "absent", does="answer", status=404, times=None)
    monkeypatch.setitem(CODES, 404, "NoSuchBucket")
    for act in (
        lambda: xp.from_zarr("s3://absent/x.zarr", storage_options=options_of(proxy)),
        lambda: xp.to_zarr(opened(proxy), "s3://absent/x.zarr", storage_options=options_of(proxy)),
    ):
        with pytest.raises(StorageRefusedError) as caught:
            act()
        checked(
            caught.value,
            "bucket absent does not exist",
            "s3://absent/x.zarr",
            proxy.url,
            "NoSuchBucket",
        )


@pytest.mark.parametrize(
    "status, code, words",
    [
        (403, "AccessDenied", ["s3:GetObject"]),
        (403, "RequestTimeTooSkewed", ["clock"]),
        (400, "ExpiredToken", ["expired", "new token"]),
        (403, "InvalidAccessKeyId", ["credentials are not accepted"]),
        (400, "AuthorizationHeaderMalformed", ["region"]),
    ],
)
def test_what_is_refused_at_opening_says_what_to_do_and_is_asked_once(
    proxy, status, code, words, monkeypatch
):
    monkeypatch.setitem(CODES, status, code)
    proxy.on("*", "*", does="answer", status=status, times=None)
    before = len(proxy.requests)
    with pytest.raises(StorageRefusedError) as caught:
        opened(proxy)
    checked(caught.value, "s3://bucket/in.zarr", f"{status} {code}", *words)
    assert (
        max((proxy.requests[before:].count(one) for one in proxy.requests[before:]), default=0) == 1
    )


REFUSED = [
    (executor, status, method)
    for executor in ("serial", "threads", "processes", "asyncio")
    for status in (400, 403)
    for method in ("GET", "PUT")
]


@pytest.mark.parametrize(
    "executor, status, method",
    [
        pytest.param(
            *case,
            marks=pytest.mark.slow if case[0] == "processes" and case[1:] != (403, "PUT") else (),
        )
        for case in REFUSED
    ],
)
def test_a_task_whose_request_is_refused_is_not_tried_again(proxy, executor, status, method):
    x = opened(proxy)
    proxy.on(method, "*/c/*", does="answer", status=status, times=None)
    before = len(proxy.requests)
    target = f"s3://bucket/refused-{executor}-{method}-{status}.zarr"
    with pytest.raises(TaskFailedError) as caught:
        xp.to_zarr(x + 1, target, storage_options=options_of(proxy), executor=executor)
    error = caught.value
    assert error.attempt == 1
    assert "\n" not in str(error)
    right = "s3:GetObject" if method == "GET" else "s3:PutObject"
    assert (right in str(error)) == (status == 403)
    refused = [
        seen.key for seen in proxy.requests[before:] if seen.method == method and "/c/" in seen.key
    ]
    assert sorted(refused) == sorted(set(refused))


@pytest.mark.parametrize("status", [429, 500, 503])
def test_overload_is_never_called_damage(proxy, status):
    once = {"retry_config": {"max_retries": 0}}
    proxy.on("GET", "*", does="answer", status=status, times=None)
    with pytest.raises(StorageUnavailableError) as caught:
        opened(proxy, **once)
    checked(caught.value, proxy.url, str(status))
    proxy.clear()
    x = opened(proxy, **once)
    proxy.on("GET", "*/c/*", does="answer", status=status, times=None)
    with pytest.raises(TaskFailedError) as caught:
        (x + 1).compute(executor="threads", retry=False)
    assert isinstance(caught.value.__cause__, StorageUnavailableError)
    assert "copy" not in str(caught.value)


def test_a_short_outage_costs_no_attempt(proxy):
    x = opened(proxy)
    for method in ("GET", "PUT", "POST"):
        proxy.on(method, "*", does="answer", status=503, times=2)
        proxy.on(method, "*", does="reset", times=1)
    target = "s3://bucket/after.zarr"
    result = ax.sync.execute(
        xp.store([x + 1], [target], storage_options=options_of(proxy)),
        executor="threads",
        retry=False,
    )
    assert result.attempts == result.tasks
    assert (xp.from_zarr(target, storage_options=options_of(proxy)).compute() == DATA + 1).all()


def test_the_text_of_the_store_goes_to_the_debug_log_without_secrets(proxy, caplog):
    proxy.on("*", "*", does="answer", status=403, times=None)
    with caplog.at_level(logging.DEBUG, "asyncexec.storage"), pytest.raises(StorageAccessError):
        opened(proxy)
    assert "Debug source" in caplog.text
    assert SECRET not in caplog.text


def test_a_result_without_the_right_to_delete_is_a_success_with_a_warning(proxy, caplog):
    options = options_of(proxy)
    spec = ax.Spec(work_dir="s3://bucket/work", storage_options=options)
    x = xp.from_zarr("s3://bucket/in.zarr", storage_options=options, spec=spec)
    for method in ("DELETE", "POST"):
        proxy.on(method, "*", does="answer", status=403, times=None)
    rows, columns = x.rechunk((4, 2)) * 2, x.rechunk((2, 4)) * 2
    xp.to_zarr(rows + columns, "s3://bucket/kept.zarr", storage_options=options, executor="threads")
    assert "s3:DeleteObject" in caplog.text
    assert "its result is right" in caplog.text
    assert (
        xp.from_zarr("s3://bucket/kept.zarr", storage_options=options).compute() == DATA * 4
    ).all()
