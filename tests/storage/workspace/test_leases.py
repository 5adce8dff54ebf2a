"""In object stores a place is held by a lease: one run has it, and no other takes it before it has run out."""

import json
import subprocess
import sys
import threading
import time
import uuid

import pytest

from asyncexec.storage import locate
from asyncexec.storage.places.holds import TARGET_LEASE
from asyncexec.storage.places.objects import objects_at
from asyncexec.storage.workspace import leases
from asyncexec.storage.workspace.holders import Holder, holding_process
from asyncexec.storage.workspace.leases import Lease, LeaseTakenError
from asyncexec.testing.patience import scaled


@pytest.fixture(params=["obstore", "zarr"])
def objects(request):
    if request.param == "zarr":
        return objects_at(locate(f"memory://lease-{uuid.uuid4().hex}/y"))
    from zarr.storage import ObjectStore

    store = ObjectStore(pytest.importorskip("obstore.store").MemoryStore())
    return objects_at(locate(store, path="y"))


def lease_of(objects, **options):
    return Lease(objects, **{"name": TARGET_LEASE, "stays": False, "run": "r1"} | options)


def put_lease(objects, **changes):
    document = {"token": "other", "run": "r0", "at": 0.0, "since": time.time(), **holding_process()}
    document |= {"until": time.time() + 40} | changes
    objects.put(TARGET_LEASE, json.dumps(document).encode())


def held_by(objects):
    return Holder.read(objects.get(TARGET_LEASE))


def test_of_many_at_once_one_has_it(objects):
    barrier, had, refused = threading.Barrier(8), [], []

    def take():
        barrier.wait()
        try:
            had.append(lease_of(objects))
        except LeaseTakenError as error:
            refused.append(error.holder)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(had), len(refused)) == (1, 7)
    assert held_by(objects).run == "r1"
    had[0].close()
    had[0].close()
    assert list(objects.names()) == []
    lease_of(objects).close()


def test_the_error_says_whose_it_is_and_when_it_can_be_had(objects):
    lease = lease_of(objects)
    with pytest.raises(
        LeaseTakenError, match=r"run r1 of process \d+ on .* since .* UTC; .* \d+ s"
    ):
        lease_of(objects)
    lease.close()


def test_a_lease_that_has_run_out_is_taken_over(objects):
    put_lease(objects, until=time.time() - 1, machine="another")
    lease_of(objects).close()
    put_lease(objects, machine="another")
    with pytest.raises(LeaseTakenError):
        lease_of(objects)


@pytest.mark.parametrize("minutes", [-10, 10])
def test_clocks_of_machines_that_differ_break_no_lease(objects, minutes, monkeypatch):
    if type(objects).__name__ == "StoreObjects":
        pytest.skip("such a store has no clock")
    there = time.time() + 60 * minutes
    put_lease(objects, at=there, until=there + 60, machine="another")
    assert objects.age(TARGET_LEASE) < 60
    with pytest.raises(LeaseTakenError):
        lease_of(objects)
    assert list(objects.names()) == [TARGET_LEASE]
    monkeypatch.setattr(type(objects), "age", lambda *_: 61.0)
    lease_of(objects).close()


def test_a_lease_of_a_dead_process_of_this_machine_is_taken_over_at_once(objects):
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    put_lease(objects, pid=process.pid)
    lease_of(objects).close()
    # Another process may have its number by now.
    put_lease(objects, started="1")
    lease_of(objects).close()
    put_lease(objects)
    with pytest.raises(LeaseTakenError):
        lease_of(objects)


def test_who_has_lost_a_lease_does_no_harm_to_who_has_it_now(objects):
    lease = lease_of(objects)
    put_lease(objects, machine="another")
    lease.renew()
    assert lease.lost
    lease.close()
    assert held_by(objects).token == "other"


def test_a_lease_that_may_have_run_out_is_removed_only_if_it_has_not(objects):
    lease = lease_of(objects, seconds=0.0)
    put_lease(objects, machine="another")
    lease.close()
    assert held_by(objects).token == "other"


def test_one_thread_renews_all_leases_and_ends_with_them(objects):
    leases = [lease_of(objects, name=f"lease-{n}", seconds=0.4) for n in range(3)]
    threads = [t for t in threading.enumerate() if t.name == "asyncexec-leases"]
    assert len(threads) == 1
    first = [objects.get(f"lease-{n}") for n in range(3)]
    deadline = time.monotonic() + scaled(20)
    while any(objects.get(f"lease-{n}") == first[n] for n in range(3)):
        assert time.monotonic() < deadline
    for lease in leases:
        lease.close()
    threads[0].join(scaled(20))
    assert not threads[0].is_alive()
    assert list(objects.names()) == []


def test_a_renewal_without_an_answer_does_not_hold_up_its_end_and_lets_go_once_there_is_one(
    objects, monkeypatch
):
    monkeypatch.setattr(leases, "_RENEWAL_SECONDS", 0.01)
    lease = lease_of(objects)
    asked, answered = threading.Event(), threading.Event()
    fetch = objects.fetch

    def fetch_late(name):
        asked.set()
        assert answered.wait(scaled(30))
        return fetch(name)

    monkeypatch.setattr(type(objects), "fetch", lambda _, name: fetch_late(name))
    renewing = threading.Thread(target=lease.renew)
    renewing.start()
    assert asked.wait(scaled(30))
    lease.close()
    assert not answered.is_set()
    answered.set()
    renewing.join()
    assert objects.get(TARGET_LEASE) is None


def test_what_cannot_be_read_is_nobodys(objects):
    objects.put(TARGET_LEASE, b"\xff")
    lease_of(objects).close()
    assert list(objects.names()) == []
