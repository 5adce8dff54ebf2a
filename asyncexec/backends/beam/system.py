"""Beam as a system whose calls block."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import wait
from importlib import import_module
from typing import Any

from asyncexec.backends.beam.handles import CallHandle
from asyncexec.backends.beam.options import BeamOptions
from asyncexec.backends.beam.pipeline import CallsPipeline, named
from asyncexec.backends.beam.places import Storage, ThisProcess
from asyncexec.backends.contract import Capabilities

LEAVE_SECONDS = 10.0


class BeamSystem:
    """Calls as elements of pipelines."""

    def __init__(self, options: BeamOptions, capabilities: Capabilities) -> None:
        self.capabilities = capabilities
        self._options = options
        self._place: ThisProcess | Storage = ThisProcess()
        self._running: set[CallsPipeline] = set()
        self._closed = False

    def open(self) -> int:
        """Make ready, and return how many calls run at once."""
        self._closed = False
        import_module("apache_beam")  # It takes a second, and had better take it here.

        work_dir = self._options.work_dir
        if work_dir is not None:
            parent = os.fspath(work_dir).rstrip("/")
            self._place = Storage(directory=f"{parent}/asyncexec-beam-{uuid.uuid4().hex}")
        return self._options.workers

    def submit(self, call: Callable[[], Any], /) -> CallHandle:
        """Have one call made by a pipeline of its own."""
        return self.submit_many([call])[0]

    def submit_many(self, calls: Sequence[Callable[[], Any]], /) -> list[CallHandle]:
        """Have calls made by one pipeline, or by one each where elements would run one after another."""
        near = self._options.work_dir is None
        handles = [CallHandle(call, near=near) for call in calls]
        groups = [[handle] for handle in handles] if self._options.direct else [handles]
        for group in groups:
            self._start(group)
        return handles

    def broken_by(self, error: BaseException, /) -> bool:
        """Whether all workers are gone: each pipeline has its own."""
        return False

    def close(self, *, idle: bool) -> None:
        """Stop what can be stopped, and remove what was left in storage."""
        self._closed = True
        running = list(self._running)
        for pipeline in running:
            pipeline.refuse()
            pipeline.stop()
        # Where pipelines cannot be cancelled, a call that was given up can only be left to end by itself.
        if idle or not self._options.direct:
            wait([pipeline.over for pipeline in running], timeout=LEAVE_SECONDS)
        if not self._running:
            self._place.close()

    def _ended(self, pipeline: CallsPipeline) -> None:
        self._running.discard(pipeline)
        if self._closed and not self._running:
            self._place.close()

    def _start(self, handles: Sequence[CallHandle]) -> None:
        name = f"beam-{uuid.uuid4().hex[:12]}"
        pipeline = CallsPipeline(
            name,
            named(name, handles),
            place=self._place,
            runner=self._options.runner,
            options=self._options.options or {},
            poll_seconds=self._options.look_seconds,
            cancels=not self._options.direct,
            ended=self._ended,
        )
        self._running.add(pipeline)
        pipeline.start()
