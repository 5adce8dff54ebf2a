"""What is run in a cell: an array read, computed chunk by chunk, and stored; its kernel is harmed as the cell says."""

import os
import signal
import time
import urllib.error
import urllib.request
from dataclasses import dataclass

import numpy as np

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.errors import AsyncexecError
from tests.object_stores.matrix.disk_faults import DiskFaults, came, nth

SHAPE, CHUNKS = (24, 24), (6, 6)
DATA = np.random.default_rng(11).integers(0, 1000, SHAPE).astype("f8")
HIT = (1, 2)
"""The chunk of the task that is harmed."""
# The first element of that chunk tells its kernel that it is the one.
SIGN = float(DATA[HIT[0] * CHUNKS[0], HIT[1] * CHUNKS[1]]) + 0.25
DATA[HIT[0] * CHUNKS[0], HIT[1] * CHUNKS[1]] = SIGN
EXPECTED = DATA * 2 + 1
BURST = 3


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """Doubles a block and adds one; for one block, what the cell says happens before."""

    folder: str
    attempt: str
    fault: str = ""
    control: str = ""
    slow_seconds: float = 5.0
    """How long the first attempt takes at least where a backup is to come, for which it waits."""
    patience_seconds: float = 60.0

    def __call__(self, block):
        if block[0, 0] == SIGN:
            self.meet(nth(self.folder, "kernel"))
        return block * 2 + 1

    def meet(self, call):
        """Meet what comes at this call, from 1 on."""
        if call == 1 and self.attempt == "retry":
            raise ConnectionError("the first attempt fails")
        if call == 1 and self.attempt == "backup":
            self.wait_for_backup()
        first = 1 if self.attempt == "first" else 2
        # With the first attempt of a retry, a burst is as long as the attempts of a task allow.
        if self.fault and first <= call < first + (2 if self.fault == "429 burst" else 1):
            harm(self.fault, self.control)

    def wait_for_backup(self):
        """Be slow, and go on only when another attempt has met its fault; on a busy machine that may come late."""
        begun = time.monotonic()
        time.sleep(self.slow_seconds)
        while self.fault and not came(self.folder, "kernel", 2):
            assert time.monotonic() - begun < self.patience_seconds, "no backup came"
            time.sleep(0.05)
        time.sleep(0.5 if self.fault else 0.0)  # In which it does what comes of that.


def harm(fault, control):
    """Do to a kernel what the fault says."""
    match fault:
        case "exception":
            raise RuntimeError("in the kernel")
        case "hang":
            time.sleep(3600)
        case "SIGKILL":
            os.kill(os.getpid(), signal.SIGKILL)
        case "403":
            raise urllib.error.HTTPError("http://service", 403, "Forbidden", None, None)
        case "429 burst":
            raise urllib.error.HTTPError("http://service", 429, "Too Many Requests", None, None)
        case "outage":
            with_no_answer(control)


def with_no_answer(url):
    """Ask for what begins an outage of the store."""
    try:
        urllib.request.urlopen(url, timeout=10).close()
    except OSError:
        return
    raise AssertionError("the outage has not begun")


def run(told):
    """Run the cell's plan, and return what came of it as plain data."""
    kernel = Kernel(**told["kernel"])
    options = told["storage_options"]
    spec = ax.Spec(allowed_mem="200MB", work_dir=told["work_dir"], storage_options=options)
    x = xp.from_zarr(told["source"], spec=spec)
    made = xp.store([xp.map_blocks(kernel, x, dtype="f8")], [told["target"]], overwrite=False)
    more = {}
    if told.get("disk"):
        more["initializer"] = DiskFaults(**told["disk"])
    if told.get("timeout"):
        more["timeout"] = told["timeout"]
    begun = time.monotonic()
    try:
        result = ax.sync.execute(
            made,
            executor=told["executor"],
            executor_options={"max_workers": 2},
            progress=False,
            straggler=ax.straggler.TwoPhase(floor_seconds=0.2) if told["backups"] else "off",
            **more,
        )
    except AsyncexecError as error:
        said = {"error": type(error).__name__, "message": str(error)}
    else:
        said = {"tasks": sum(stage.tasks for stage in result.stages)}
    return said | {"seconds": round(time.monotonic() - begun, 1)}
