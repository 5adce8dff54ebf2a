"""What a cell does to the requests, the files or the kernel of a run."""

from tests.object_stores.matrix.cells import Cell
from tests.object_stores.matrix.program import BURST
from tests.object_stores.matrix.world import chunk_of

IN_REQUESTS = {
    "exception": {"does": "reset"},
    "hang": {"does": "stop"},
    "SIGKILL": {"does": "kill"},
    "403": {"does": "answer", "status": 403, "times": None},
    "429 burst": {"does": "answer", "status": 429, "times": BURST},
    "outage": {"does": "outage"},
    "silence": {"does": "silence"},
}
CONTROL = "control/outage"


def of_kernel(cell: Cell, folder, url: str = "") -> dict:
    """Return what the kernel of a cell is made with."""
    fault = cell.fault if cell.moment == "mid-compute" else ""
    control = f"{url}/{CONTROL}" if url else ""
    return {"folder": str(folder), "attempt": cell.attempt, "fault": fault, "control": control}


def of_requests(cell: Cell, proxy, bucket: str, *, seconds: float):
    """Add the rules of a cell to a proxy, with the length of an outage; return the one that is to hit, if any."""
    more = {"seconds": seconds} if cell.fault == "outage" else {}
    how = IN_REQUESTS[cell.fault] | more
    read, written = f"{bucket}/{chunk_of('x.zarr')}", f"{bucket}/{chunk_of('y.zarr')}"
    match cell.moment:
        case "before read":
            return proxy.on("GET", read, first=1 if cell.attempt == "first" else 2, **how)
        case "before PUT":
            return proxy.on("PUT", written, **how)
        case "after PUT before ack":
            return proxy.on("PUT", written, when="after", **how)
        case "ack lost":
            lost = proxy.on("PUT", written, does="reset", when="after")
            return proxy.on("*", written, after=lost, **how)
    return proxy.on("GET", CONTROL, **how) if cell.fault == "outage" else None


def of_files(cell: Cell, folder, world) -> dict | None:
    """Return what :class:`DiskFaults` are made with for a cell, if it has any."""
    if cell.moment == "mid-compute":
        return None
    second = cell.attempt != "first" and cell.moment == "before read"
    return {
        "folder": str(folder),
        "moment": cell.moment,
        "fault": cell.fault,
        "source": world.url(chunk_of("x.zarr")),
        "target": world.url(chunk_of("y.zarr")),
        "first": 2 if second else 1,
    }
