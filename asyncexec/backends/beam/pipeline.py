"""One Beam pipeline: its elements are calls; a thread runs and follows it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from importlib import import_module
from typing import Any

from asyncexec.backends.adapters.blocking_system import CallLostError
from asyncexec.backends.adapters.system_thread import future_of
from asyncexec.backends.beam.handles import BeamHandle
from asyncexec.backends.beam.loopback import LOOPBACK_SERVERS
from asyncexec.backends.beam.options import BeamOptions
from asyncexec.backends.beam.stores import CallStore, run_element
from asyncexec.errors import BackendError


class CallsPipeline:
    """A pipeline whose elements are calls.

    Parameters
    ----------
    name : str
        A unique name, which the names of its elements begin with.
    handles : sequence of BeamHandle
    store : InProcessCalls or CallFiles
    options : BeamOptions
    ended : callable
        Called with this pipeline when it has ended, in a thread of its own.
    """

    def __init__(
        self,
        name: str,
        handles: Sequence[BeamHandle],
        *,
        store: CallStore,
        options: BeamOptions,
        ended: Callable[[CallsPipeline], None],
    ) -> None:
        self._name = name
        self._calls = {f"{name}-{number}": handle for number, handle in enumerate(handles)}
        self._store = store
        self._options = options
        self._ended = ended
        self._result: Any = None
        self._stopping = threading.Event()
        self._cancelled = False
        for handle in handles:
            handle.on_abandoned = self._stop_if_unused

    def start(self) -> None:
        """Start the pipeline."""
        self.finished = future_of(self._follow, name=f"asyncexec-{self._name}")

    def stop(self) -> None:
        """Cancel the pipeline, if its runner can."""
        if (
            not self._options.direct
        ):  # Direct runners cannot cancel, and may wait for ever when asked to.
            self._stopping.set()

    def prevent_start(self) -> None:
        """Prevent the start of calls that have not started."""
        with suppress(OSError):
            self._store.prevent_start(self._calls)

    def _stop_if_unused(self) -> None:
        if all(handle.abandoned or handle.done() for handle in self._calls.values()):
            self.stop()

    def _follow(self) -> None:
        """Run the pipeline, and update the handles of its calls until it has ended."""
        error: BaseException | None = None
        try:
            self._store.put_calls(self._calls)
            running = future_of(self._run, name=f"asyncexec-{self._name}-run")
            done = threading.Event()
            running.add_done_callback(lambda _: done.set())
            while not done.wait(self._options.poll_interval):
                with suppress(
                    OSError
                ):  # Storage may fail for a moment; what matters is the last look.
                    self._store.collect(self._calls)
                self._cancel_if_stopping()
            error = running.exception()
            self._store.collect(self._calls)
        except Exception as raised:  # noqa: BLE001 - it is the reason that calls have no answer
            error = raised
        self._end(error)

    def _cancel_if_stopping(self) -> None:
        result = self._result
        if result is not None and self._stopping.is_set() and not self._cancelled:
            self._cancelled = True
            with suppress(
                Exception
            ):  # The pipeline has just ended, or its runner cannot cancel after all.
                result.cancel()

    def _run(self) -> None:
        beam: Any = import_module("apache_beam")
        options = beam.options.pipeline_options.PipelineOptions
        pipeline = beam.Pipeline(
            runner=self._options.runner_used,
            options=options.from_dictionary(dict(self._options.options or {})),
        )
        names = list(self._calls)
        # This does what Create does, at two thirds of the cost on a direct runner.
        elements = pipeline | beam.Impulse() | "Calls" >> beam.FlatMap(lambda _: names)
        if len(self._calls) > 1:
            # Without this, elements would be fused with their source into one bundle, and not spread over workers.
            elements = elements | "Spread" >> beam.Reshuffle()
        _ = elements | "Run" >> beam.Map(partial(run_element, store=self._store))
        with self._servers():
            self._result = pipeline.run()
            self._result.wait_until_finish()

    def _servers(self) -> AbstractContextManager[None]:
        """Return the context of what Beam serves on this machine for worker processes."""
        if self._options.direct and self._options.separate:
            return LOOPBACK_SERVERS.kept()
        return nullcontext()

    def _end(self, error: BaseException | None) -> None:
        for handle in self._calls.values():
            if not handle.done():
                handle.fail(self._error_for(error))
        with suppress(OSError):
            self._store.discard_calls(list(self._calls))
        self._ended(self)

    def _error_for(self, error: BaseException | None) -> Exception:
        """Return the error of a call without an answer."""
        if self._stopping.is_set():
            return CancelledError()
        if error is None:
            return CallLostError(self._name, "its pipeline ended without it")
        if any(handle.begun for handle in self._calls.values()):
            return CallLostError(self._name, f"its pipeline failed: {error}")
        return BackendError(
            f"executor 'beam': {self._options.runner!r} does not run pipelines with these options: "
            f"{type(error).__name__}: {error}"
        )
