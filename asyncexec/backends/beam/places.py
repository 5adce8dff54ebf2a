"""Where calls are fetched and answers left: in this process, or in storage that the driver and the workers share.

What a pipeline itself puts out would come as pickles, and only when all of it has ended. A place tells of each call as
it starts and ends, in bytes that nobody unpickles.

A call is begun once: should Beam run its element again, the second time begins nothing.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from asyncexec.backends.beam import files
from asyncexec.worker.remote_batch import RemoteBatch, worker_name

if TYPE_CHECKING:
    from asyncexec.backends.beam.handles import CallHandle


class Place(Protocol):
    """What a worker sees of it; picklable."""

    def begin(self, name: str) -> Callable[[], Any] | None:
        """Return the call to make; None where it was begun before, or is not wanted any more."""
        ...

    def answer(self, name: str, data: Any) -> None:
        """Leave the answer of a call."""
        ...


def run_element(name: str, place: Place) -> str:
    """Make the call that an element of a pipeline stands for; it does not raise, so that nothing is tried again."""
    call = place.begin(name)
    if call is not None:
        place.answer(name, call())
    return name


# In the driver's process, where local runners run elements: calls that were handed over and have not ended.
_handed_over: dict[str, CallHandle] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class ThisProcess:
    """For runners that run elements in threads of the driver's process: nothing is pickled."""

    def begin(self, name: str) -> Callable[[], Any] | None:
        handle = _handed_over.get(name)
        if handle is None or not handle.begin():
            return None
        return handle.call

    def answer(self, name: str, data: Any) -> None:
        _handed_over[name].finish(data)

    def hand_over(self, calls: Mapping[str, CallHandle]) -> None:
        """Let pipelines find these calls."""
        _handed_over.update(calls)

    def collect(self, calls: Mapping[str, CallHandle]) -> None:
        """Do nothing: answers come by themselves."""

    def refuse(self, calls: Mapping[str, CallHandle]) -> None:
        """Do nothing: a handle that was cancelled does not begin."""

    def withdraw(self, names: list[str]) -> None:
        """Forget calls that have ended."""
        for name in names:
            _handed_over.pop(name, None)

    def close(self) -> None:
        """Do nothing: there is nothing to remove."""


_KINDS = ("call", "begun", "answer", "lost", "unwanted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """A directory that the driver and all workers see: local, ``gs://…``, ``s3://…``, ``hdfs://…``.

    Beam's own file systems are used, with the credentials that the pipeline has. For each call there are a few small
    objects, each written whole: the call, who began it, its answer.
    """

    directory: str

    # On a worker.

    def begin(self, name: str) -> RemoteBatch | None:
        if self._exists(name, "answer") or self._exists(name, "unwanted"):
            return None
        if self._exists(name, "begun"):
            # Its worker died, or is thought dead: what it had begun is not done again unasked.
            self._write(name, "lost", self._read(name, "begun"))
            return None
        self._write(name, "begun", worker_name().encode())
        if self._exists(name, "unwanted"):
            # Whoever cancels says so first and looks for this second; so one of the two sees the other.
            return None
        call: RemoteBatch = pickle.loads(self._read(name, "call"))  # noqa: S301 - from the driver
        return call

    def answer(self, name: str, data: bytes) -> None:
        self._write(name, "answer", data)

    # On the driver.

    def hand_over(self, calls: Mapping[str, CallHandle]) -> None:
        """Put the calls where workers find them."""
        for name, handle in calls.items():
            self._write(name, "call", pickle.dumps(handle.call, protocol=5))

    def collect(self, calls: Mapping[str, CallHandle]) -> None:
        """Tell handles what has become of their calls so far."""
        found = files.names(self.directory)
        for name, handle in calls.items():
            if handle.unwanted and not found & {f"{name}.begun", f"{name}.unwanted"}:
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

    def refuse(self, calls: Mapping[str, CallHandle]) -> None:
        """Let none of these begin that has not."""
        for name, handle in calls.items():
            if not (handle.begun or handle.done()):
                self._write(name, "unwanted", b"")

    def withdraw(self, names: list[str]) -> None:
        """Delete what there is of calls that have ended."""
        wanted = {f"{name}.{kind}" for name in names for kind in _KINDS}
        there = wanted & files.names(self.directory)
        files.delete([self._path(file) for file in there])

    def close(self) -> None:
        """Delete it all."""
        files.delete([self.directory])

    def _path(self, file: str) -> str:
        return f"{self.directory}/{file}"

    def _exists(self, name: str, kind: str) -> bool:
        return files.exists(self._path(f"{name}.{kind}"))

    def _read(self, name: str, kind: str) -> bytes:
        return files.read(self._path(f"{name}.{kind}"))

    def _write(self, name: str, kind: str, data: bytes) -> None:
        files.write(self._path(f"{name}.{kind}"), data)
