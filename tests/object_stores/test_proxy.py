"""The fault proxy does what its rules say, and counts."""

import time

import pytest

from tests.object_stores import servers

obstore = pytest.importorskip("obstore")
pytest_plugins = ["tests.object_stores.fixtures"]


def client(proxy, bucket, timeout):
    """A bucket behind the proxy, by a client that does not repeat anything."""
    from obstore.store import from_url

    options = servers.s3_options(proxy.url, retry_config={"max_retries": 0})
    options["client_options"] |= {"timeout": timeout}
    return from_url(f"s3://{bucket}", **options)


@pytest.fixture
def store(proxy, bucket):
    """A bucket behind the proxy, with one object."""
    found = client(proxy, bucket, "120s")
    obstore.put(found, "a b", b"0123456789")
    proxy.clear()
    return found


def test_requests_are_counted_by_method_and_key(store, proxy, bucket):
    for _ in range(2):
        obstore.get(store, "a b")
    obstore.put(store, "c/0", b"x")
    assert proxy.counts == {("GET", f"{bucket}/a b"): 2, ("PUT", f"{bucket}/c/0"): 1}
    assert proxy.count("PUT", "*/c/*") == 1
    assert proxy.most_in_flight == 1
    assert [seen.status for seen in proxy.requests] == [200, 200, 200]


@pytest.mark.parametrize("status", [400, 403, 404, 429, 500, 503])
def test_requests_are_answered_with_an_error(store, proxy, status):
    rule = proxy.on("GET", does="answer", status=status, first=2, times=2)
    outcomes = [answers(store) for _ in range(4)]
    assert outcomes == [True, False, False, True]
    assert rule.hits == 2


@pytest.mark.parametrize(
    "how",
    [
        {"does": "reset"},
        {"does": "truncate"},
        {"does": "stall"},
        {"does": "silence"},
        {"does": "silence", "seconds": 0.01},
    ],
    ids=lambda how: "-".join(map(str, how.values())),
)
def test_requests_are_cut_off(store, proxy, bucket, how):
    rule = proxy.on("GET", **how)
    for_ever = how in ({"does": "stall"}, {"does": "silence"})
    impatient = client(proxy, bucket, "300ms") if for_ever else store
    while not rule.hits:  # A client may give up before its request has come.
        assert not answers(impatient)
    assert answers(store)


@pytest.mark.parametrize("when, there", [("before", False), ("after", True)])
def test_a_put_is_reset_before_or_after_it_was_carried_out(store, proxy, when, there):
    proxy.on("PUT", does="reset", when=when)
    with pytest.raises(obstore.exceptions.BaseError):
        obstore.put(store, "new", b"x")
    assert answers(store, "new") is there


@pytest.mark.parametrize("does", ["delay", "trickle"])
def test_answers_take_their_time(store, proxy, does):
    proxy.on("GET", does=does, seconds=0.05)
    begun = time.monotonic()
    assert answers(store)
    assert time.monotonic() - begun >= 0.05


def test_connections_are_refused_in_an_outage(store, proxy):
    proxy.refuse()
    assert not answers(store)
    proxy.accept()
    assert answers(store)
    outage = proxy.on("GET", does="outage", seconds=0.0)
    assert not answers(store)
    outage.hit.wait()
    while not answers(store):
        pass


def answers(store, key="a b"):
    """Return whether an object is there; anything else than its absence or a fault is an error."""
    try:
        return len(obstore.get(store, key).bytes()) > 0
    except (obstore.exceptions.BaseError, OSError):
        return False
