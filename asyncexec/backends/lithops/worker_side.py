"""What Lithops calls on its workers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from asyncexec.backends.adapters.call_in_child import run_in_child
from asyncexec.worker.remote_batch import NEEDS_PROGRAM, RemoteBatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """A call, and the key in Lithops' storage of a program that is too large to travel with each call."""

    call: RemoteBatch
    program: str | None = None


def run_errand(errand: Errand, storage: Any) -> bytes:
    """Run a batch, and return its outcomes; Lithops hands over its ``storage``, since it is asked for by that name."""
    answer = run_in_child(errand.call)
    if answer == NEEDS_PROGRAM and errand.program is not None:
        errand.call.blob = storage.get_object(storage.bucket, errand.program)
        answer = run_in_child(errand.call)
    return answer
