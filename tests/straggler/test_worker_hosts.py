"""Hosts are told from the names of workers, and only where there are several."""

import pytest

from asyncexec.straggler.worker_hosts import WorkerHosts, host_of


@pytest.mark.parametrize(
    "worker, host",
    [
        ("node-7:4711", "node-7"),
        ("tcp://10.0.0.7:8786", "10.0.0.7"),
        ("tls://[::1]:8786#3", "[::1]"),
        ("process-4711", ""),
        ("thread-2", ""),
        ("2026/11/30/[$LATEST]a1b2", ""),
        ("", ""),
    ],
)
def test_a_name_tells_its_host_or_none(worker, host):
    assert host_of(worker) == host


def test_workers_that_tell_no_host_share_none():
    hosts = WorkerHosts()
    for name in ("process-1", "process-2"):
        hosts.add(name)
    assert hosts.neighbours("process-1") == {"process-1"}
    assert hosts.shared("process-1") == ""
