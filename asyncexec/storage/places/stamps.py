"""The stamp of the run that made an array, in the array's metadata: the proof of whose it is.

It is written together with the metadata, in one step that only one run can succeed in, so there is no moment at which
an array is there and nobody knows whose it is. Of a run that can be resumed it has the plan's fingerprint, and stays:
any later run of the plan knows its own array by it, whatever became of the work directory. Of another run it goes when
the array is complete.

In format 3 it is an attribute, which every implementation of Zarr preserves; in format 2 a key of ``.zarray``, because
attributes are a file of their own there.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FIELD = "asyncexec"
STAGED = ".asyncexec-new"
"""The object at an array that has what its metadata are to be when the run that replaces it is complete."""
_latest = [0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """The run that made an array, and its plan.

    Attributes
    ----------
    run : str
        Names one opening of a workspace, and no other.
    plan : str
        The plan's fingerprint, where the run can be resumed; else empty.
    unfinished : bool
        Whether chunks may be missing, so that what reads as fill values may be none.
    """

    run: str
    plan: str = ""
    unfinished: bool = False


def new_run() -> str:
    """Return a name for a run, which no other has; names of runs that begin later are greater."""
    # Clocks may be set back, and show the same time twice.
    _latest[0] = now = max(time.time_ns(), _latest[0] + 1)
    return f"{now:016x}{uuid.uuid4().hex[:6]}"


def stamp_of(documents: Mapping[str, bytes]) -> Stamp | None:
    """Return the stamp in the metadata files of an array, by name; None without any."""
    for name in ("zarr.json", ".zarray"):
        field = _holder(name, _parsed(documents.get(name, b"null"))).get(FIELD)
        if isinstance(field, dict) and isinstance(field.get("run"), str):
            return Stamp(
                run=field["run"],
                plan=str(field.get("plan", "")),
                unfinished=field.get("unfinished") is True,
            )
    return None


def stamped(documents: Mapping[str, bytes], stamp: Stamp | None) -> dict[str, bytes]:
    """Return the metadata files with ``stamp``, or without any."""
    return {name: _stamped(name, data, stamp) for name, data in documents.items()}


def _stamped(name: str, data: bytes, stamp: Stamp | None) -> bytes:
    document = _parsed(data)
    if name not in ("zarr.json", ".zarray") or not isinstance(document, dict):
        return data
    if name == "zarr.json":
        document.setdefault("attributes", {})
    holder = _holder(name, document)
    holder.pop(FIELD, None)
    if stamp is not None:
        plan = {"plan": stamp.plan} if stamp.plan else {}
        unfinished = {"unfinished": True} if stamp.unfinished else {}
        holder[FIELD] = {"run": stamp.run, **plan, **unfinished}
    return json.dumps(document, indent=2).encode()


def _holder(name: str, document: Any) -> dict[str, Any]:
    """Return the part of a metadata file that the stamp is in."""
    held = (
        document.get("attributes")
        if name == "zarr.json" and isinstance(document, dict)
        else document
    )
    return held if isinstance(held, dict) else {}


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return None
