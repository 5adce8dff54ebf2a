"""One pipeline: calls as its elements, run in a thread and looked after in it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import Any

from asyncexec.backends.adapters.blocking_system import CallLostError
from asyncexec.backends.adapters.system_thread import future_of
from asyncexec.backends.beam.handles import CallHandle
from asyncexec.backends.beam.places import Storage, ThisProcess, run_element
from asyncexec.errors import BackendError

type Options = Mapping[str, Any]


class CallsPipeline:
    """A pipeline whose elements are calls.

    Parameters
    ----------
    name : str
        Which no other pipeline has.
    calls : mapping of str to CallHandle
        By element.
    place : ThisProcess or Storage
        Where workers find calls and leave answers.
    runner : str
    options : mapping
        Of the runner.
    poll_seconds : float
        How often to look for answers.
    cancels : bool
        Whether its runner can cancel a pipeline: those of this process cannot, and may wait for ever if told to.
    ended : callable
        Called with this pipeline when it has ended, in a thread of its own.
    """

    def __init__(
        self,
        name: str,
        calls: Mapping[str, CallHandle],
        *,
        place: ThisProcess | Storage,
        runner: str,
        options: Options,
        poll_seconds: float,
        cancels: bool,
        ended: Callable[[CallsPipeline], None],
    ) -> None:
        self._name = name
        self._calls = calls
        self._place = place
        self._runner = runner
        self._options = options
        self._poll_seconds = poll_seconds
        self._cancels = cancels
        self._ended = ended
        self._result: Any = None
        self._stopping = threading.Event()
        self._cancelled = False
        for handle in calls.values():
            handle.on_unwanted = self._reconsider

    def start(self) -> None:
        """Run it."""
        self.over = future_of(self._look_after, name=f"asyncexec-{self._name}")

    def stop(self) -> None:
        """Have it cancelled, where its runner can."""
        if self._cancels:
            self._stopping.set()

    def refuse(self) -> None:
        """Let no call of it begin that has not."""
        with suppress(OSError):
            self._place.refuse(self._calls)

    def _reconsider(self) -> None:
        if all(handle.unwanted or handle.done() for handle in self._calls.values()):
            self.stop()

    def _look_after(self) -> None:
        """Run the pipeline, and tell of its calls until it has ended."""
        error: BaseException | None = None
        try:
            self._place.hand_over(self._calls)
            running = future_of(self._run, name=f"asyncexec-{self._name}-run")
            done = threading.Event()
            running.add_done_callback(lambda _: done.set())
            while not done.wait(self._poll_seconds):
                with suppress(
                    OSError
                ):  # Storage may fail for a moment; what matters is the last look.
                    self._place.collect(self._calls)
                self._cancel_if_asked()
            error = running.exception()
            self._place.collect(self._calls)
        except Exception as raised:  # noqa: BLE001 - it is why its calls have no answer
            error = raised
        self._end(error)

    def _cancel_if_asked(self) -> None:
        result = self._result
        if result is not None and self._stopping.is_set() and not self._cancelled:
            self._cancelled = True
            with suppress(Exception):  # It has ended just now, or its runner cannot after all.
                result.cancel()

    def _run(self) -> None:
        beam: Any = import_module("apache_beam")
        options = beam.options.pipeline_options.PipelineOptions
        pipeline = beam.Pipeline(
            runner=self._runner, options=options.from_dictionary(dict(self._options))
        )
        names = list(self._calls)
        # As Create does, at two thirds of its cost on a direct runner.
        elements = pipeline | beam.Impulse() | "Calls" >> beam.FlatMap(lambda _: names)
        if len(self._calls) > 1:
            # So that elements are spread over workers, and are not one bundle with where they come from.
            elements = elements | "Spread" >> beam.Reshuffle()
        _ = elements | "Run" >> beam.Map(partial(run_element, place=self._place))
        self._result = pipeline.run()
        self._result.wait_until_finish()

    def _end(self, error: BaseException | None) -> None:
        for handle in self._calls.values():
            if not handle.done():
                handle.fail(self._why(error))
        with suppress(OSError):
            self._place.withdraw(list(self._calls))
        self._ended(self)

    def _why(self, error: BaseException | None) -> Exception:
        """Return what a call without an answer ends with."""
        if self._stopping.is_set():
            return CancelledError()
        if error is None:
            return CallLostError(self._name, "its pipeline ended without it")
        if any(handle.begun for handle in self._calls.values()):
            return CallLostError(self._name, f"its pipeline failed: {error}")
        return BackendError(
            f"executor 'beam': {self._runner!r} does not run pipelines with these options: "
            f"{type(error).__name__}: {error}"
        )


def named(prefix: str, handles: Sequence[CallHandle]) -> dict[str, CallHandle]:
    """Return handles by names of elements."""
    return {f"{prefix}-{number}": handle for number, handle in enumerate(handles)}
