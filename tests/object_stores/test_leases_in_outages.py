"""A lease whose renewal has met an outage is let go when its run ends, as soon as the store is there again."""

import threading

import pytest

from asyncexec.storage import locate
from asyncexec.storage.places import requests
from asyncexec.storage.places.holds import TARGET_LEASE
from asyncexec.storage.places.objects import objects_at
from asyncexec.storage.places.requests import EndpointState
from asyncexec.storage.workspace.leases import Lease
from asyncexec.testing.patience import scaled
from tests.object_stores.servers import s3_options

pytest.importorskip("obstore")
pytest_plugins = ["tests.object_stores.fixtures"]


def test_a_renewal_that_waits_out_an_outage_does_not_leave_the_lease_behind(
    proxy, bucket, monkeypatch
):
    # The longest wait between two tries would outlast the end of the run, and the program might be over by then.
    monkeypatch.setattr(requests, "_FIRST_WAIT", 40.0)
    monkeypatch.setattr(requests, "_LONGEST_WAIT", 40.0)
    objects = objects_at(locate(f"s3://{bucket}/y.zarr", s3_options(proxy.url)))
    lease = Lease(objects, name=TARGET_LEASE, stays=False)
    waits, pause = threading.Event(), EndpointState.pause

    def noted(state, seconds):
        waits.set()
        pause(state, seconds)

    monkeypatch.setattr(EndpointState, "pause", noted)
    proxy.refuse()
    renewing = threading.Thread(target=lease.renew)
    renewing.start()
    assert waits.wait(scaled(20))
    proxy.accept()
    # The run goes on, and ends.
    objects.put("c/0", b"written")
    lease.close()
    assert list(objects.names()) == ["c/0"]
    renewing.join(scaled(20))
    assert not renewing.is_alive()
