"""The stores of calls and answers: in this process, or files that driver and workers share.

A pipeline's own output would be pickles, and come only when all of it has ended. A store shows when each call starts
and ends, and answers are bytes that are not unpickled.

A call is started once: if Beam runs its element again, the second time does nothing.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from asyncexec.backends.beam import files
from asyncexec.worker.remote_batch import RemoteBatch, worker_name

if TYPE_CHECKING:
    from asyncexec.backends.beam.handles import BeamHandle


# The calls that have not ended, in the driver's process, where local runners run elements.
_calls_here: dict[str, BeamHandle] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class InProcessCalls:
    """The store for runners in the driver's process: nothing is pickled."""

    def begin(self, name: str) -> Callable[[], Any] | None:
        handle = _calls_here.get(name)
        if handle is None or not handle.begin():
            return None
        return handle.call

    def answer(self, name: str, data: Any) -> None:
        _calls_here[name].finish(data)

    def put_calls(self, calls: Mapping[str, BeamHandle]) -> None:
        """Add calls for pipelines to find."""
        _calls_here.update(calls)

    def collect(self, calls: Mapping[str, BeamHandle]) -> None:
        """Do nothing: answers reach the handles directly."""

    def prevent_start(self, calls: Mapping[str, BeamHandle]) -> None:
        """Do nothing: a cancelled handle does not start."""

    def discard_calls(self, names: list[str]) -> None:
        """Remove calls that have ended."""
        for name in names:
            _calls_here.pop(name, None)

    def close(self) -> None:
        """Do nothing: there is nothing to remove."""


_KINDS = ("call", "begun", "answer", "lost", "unwanted")


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFiles:
    """A directory that driver and all workers see: local, ``gs://…``, ``s3://…``, ``hdfs://…``.

    Beam's own file systems are used, with the credentials of the pipeline. Each call has a few small objects, each
    written as a whole: the call, the worker that started it, its answer.
    """

    directory: str

    # On a worker.

    def begin(self, name: str) -> RemoteBatch | None:
        if self._exists(name, "answer") or self._exists(name, "unwanted"):
            return None
        if self._exists(name, "begun"):
            # Its worker has died, or Beam takes it for dead: a call that was started is not run again here.
            self._write(name, "lost", self._read(name, "begun"))
            return None
        self._write(name, "begun", worker_name().encode())
        if self._exists(name, "unwanted"):
            # The driver writes "unwanted" before it looks for "begun", and a worker does the reverse: one of them sees
            # the other.
            return None
        call: RemoteBatch = pickle.loads(self._read(name, "call"))  # noqa: S301 - from the driver
        return call

    def answer(self, name: str, data: bytes) -> None:
        self._write(name, "answer", data)

    # On the driver.

    def put_calls(self, calls: Mapping[str, BeamHandle]) -> None:
        """Write the calls, for workers to find."""
        for name, handle in calls.items():
            self._write(name, "call", pickle.dumps(handle.call, protocol=5))

    def collect(self, calls: Mapping[str, BeamHandle]) -> None:
        """Update the handles from the objects that workers have written."""
        found = files.names(self.directory)
        for name, handle in calls.items():
            if handle.abandoned and not found & {f"{name}.begun", f"{name}.unwanted"}:
                self._write(name, "unwanted", b"")
            if handle.done():
                continue
            if f"{name}.begun" in found:
                handle.begin()
            if f"{name}.answer" in found:
                handle.begin()
                handle.finish(self._read(name, "answer"))
            elif f"{name}.lost" in found:
                handle.lose(self._read(name, "lost").decode(errors="replace"))

    def prevent_start(self, calls: Mapping[str, BeamHandle]) -> None:
        """Prevent the start of calls that have not started."""
        for name, handle in calls.items():
            if not (handle.begun or handle.done()):
                self._write(name, "unwanted", b"")

    def discard_calls(self, names: list[str]) -> None:
        """Delete the objects of calls that have ended."""
        wanted = {f"{name}.{kind}" for name in names for kind in _KINDS}
        there = wanted & files.names(self.directory)
        files.delete_files([self._path(file) for file in there])

    def close(self) -> None:
        """Delete the directory."""
        files.delete_files([self.directory])

    def _path(self, file: str) -> str:
        return f"{self.directory}/{file}"

    def _exists(self, name: str, kind: str) -> bool:
        return files.exists(self._path(f"{name}.{kind}"))

    def _read(self, name: str, kind: str) -> bytes:
        return files.read(self._path(f"{name}.{kind}"))

    def _write(self, name: str, kind: str, data: bytes) -> None:
        files.write(self._path(f"{name}.{kind}"), data)


type CallStore = InProcessCalls | CallFiles


def run_element(name: str, store: CallStore) -> str:
    """Make the call of an element; it does not raise, so that Beam does not retry it."""
    call = store.begin(name)
    if call is not None:
        store.answer(name, call())
    return name
