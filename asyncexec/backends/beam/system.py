"""Beam as a system whose calls block."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import wait
from importlib import import_module
from typing import Any

from asyncexec.backends.beam.checks import check_pipeline_options
from asyncexec.backends.beam.handles import BeamHandle
from asyncexec.backends.beam.options import BeamOptions
from asyncexec.backends.beam.pipeline import CallsPipeline
from asyncexec.backends.beam.stores import CallFiles, CallStore, InProcessCalls
from asyncexec.backends.contract import Capabilities

END_SECONDS = 10.0


class BeamSystem:
    """Calls that are elements of pipelines."""

    def __init__(self, options: BeamOptions, capabilities: Capabilities) -> None:
        self.capabilities = capabilities
        self._options = options
        self._store: CallStore = InProcessCalls()
        self._running: set[CallsPipeline] = set()
        self._closed = False

    def open(self) -> int:
        """Prepare the store, and return the number of calls that run at once."""
        self._closed = False
        import_module(
            "apache_beam"
        )  # The import takes a second; it is better spent here than in the first call.

        check_pipeline_options(self._options.runner, self._options.options or {})
        work_dir = self._options.work_dir
        if work_dir is not None:
            parent = os.fspath(work_dir).rstrip("/")
            self._store = CallFiles(directory=f"{parent}/asyncexec-beam-{uuid.uuid4().hex}")
        return self._options.workers

    def submit(self, call: Callable[[], Any], /) -> BeamHandle:
        """Submit one call, in a pipeline of its own."""
        return self.submit_many([call])[0]

    def submit_many(self, calls: Sequence[Callable[[], Any]], /) -> list[BeamHandle]:
        """Submit calls in one pipeline, or one pipeline each if elements would run one after another."""
        in_process = self._options.work_dir is None
        handles = [BeamHandle(call, in_process=in_process) for call in calls]
        groups = [[handle] for handle in handles] if self._options.direct else [handles]
        for group in groups:
            self._start(group)
        return handles

    def broken_by(self, error: BaseException, /) -> bool:
        """Return False: each pipeline has workers of its own."""
        return False

    def close(self, *, idle: bool) -> None:
        """Stop what can be stopped, and remove the store."""
        self._closed = True
        running = list(self._running)
        for pipeline in running:
            pipeline.prevent_start()
            pipeline.stop()
        # A pipeline that cannot be cancelled ends by itself, after its abandoned calls.
        if idle or not self._options.direct:
            wait([pipeline.finished for pipeline in running], timeout=END_SECONDS)
        if not self._running:
            self._store.close()

    def _ended(self, pipeline: CallsPipeline) -> None:
        self._running.discard(pipeline)
        if self._closed and not self._running:
            self._store.close()

    def _start(self, handles: Sequence[BeamHandle]) -> None:
        pipeline = CallsPipeline(
            f"beam-{uuid.uuid4().hex[:12]}",
            handles,
            store=self._store,
            options=self._options,
            ended=self._ended,
        )
        self._running.add(pipeline)
        pipeline.start()
