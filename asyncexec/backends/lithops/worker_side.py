"""The function that Lithops calls on its workers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from asyncexec.backends.adapters.call_in_child import run_in_child
from asyncexec.worker.remote_batch import NEEDS_PROGRAM, RemoteBatch


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPayload:
    """A call, and the storage key of its program if that is too large to travel with each call."""

    call: RemoteBatch
    program: str | None = None


def run_payload(payload: CallPayload, storage: Any) -> bytes:
    """Run a batch, and return its outcomes; Lithops passes its ``storage`` to a parameter of that name."""
    answer = run_in_child(payload.call)
    if answer == NEEDS_PROGRAM and payload.program is not None:
        payload.call.blob = storage.get_object(storage.bucket, payload.program)
        answer = run_in_child(payload.call)
    return answer
