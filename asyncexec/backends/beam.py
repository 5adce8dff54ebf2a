"""Tasks as elements of Apache Beam pipelines: on this machine, on Dataflow, Flink, or any other of Beam's runners."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from asyncexec.backends.adapters.blocking import BlockingBackend
from asyncexec.backends.beam_pipelines.system import BeamSystem, Settings
from asyncexec.backends.contract import Capabilities
from asyncexec.backends.cores import usable_cores
from asyncexec.backends.extras import need
from asyncexec.backends.options import mapping, path, seconds, text, whole_number
from asyncexec.errors import OptionError

_NAME = "beam"
_DIRECT = ("DirectRunner", "SwitchingDirectRunner", "BundleBasedDirectRunner", "FnApiRunner")
_FAR_WORKERS = 100


class BeamBackend(BlockingBackend):
    """Run tasks with Beam: a batch is an element, and those that are ready together are one pipeline.

    Beam's direct runners run elements in threads of this process, which is for trying things out. Any other runner runs
    them elsewhere; calls and answers then travel through ``work_dir``, which the driver and the workers must both see.
    No runner can stop an element that runs: a task that is cancelled or times out is given up.

    Parameters
    ----------
    runner : str
        Beam's name of it: "DirectRunner", "DataflowRunner", "FlinkRunner" …
    options : mapping of str to object, optional
        The runner's own options, as ``PipelineOptions.from_dictionary`` takes them.
    work_dir : str, optional
        A directory in a file system of Beam's (a path, "gs://bucket/dir", "s3://…"). A directory in it is made, and
        removed on leaving. Not needed by a direct runner.
    max_workers : int, optional
        How many batches run at once; default: one for each core with a direct runner, 100 elsewhere.
    batch_limit : int
        How many tasks may go into one batch.
    poll_seconds : float, optional
        How often to look for answers in ``work_dir``; default: 0.05 with a direct runner, 1 elsewhere.
    patience : float
        Seconds that work waits while given-up tasks hold every worker, before Beam counts as broken.

    Raises
    ------
    OptionError
        If an option is not what it should be, or ``work_dir`` is missing.
    MissingExtraError
        If Beam is not installed.
    """

    features: ClassVar[Capabilities] = Capabilities(
        name=_NAME,
        local=True,
        shares_memory=True,
        batch_limit=1_000,
        tells_progress=False,
        native_retry="bundles that raise: none does; an element that comes again is not run again, but lost",
        call_seconds=0.3,
    )

    def __init__(
        self,
        *,
        runner: str = "DirectRunner",
        options: Mapping[str, Any] | None = None,
        work_dir: str | os.PathLike[str] | None = None,
        max_workers: int | None = None,
        batch_limit: int = 1_000,
        poll_seconds: float | None = None,
        patience: float = 30.0,
    ) -> None:
        need(_NAME, "beam", "apache_beam")
        direct = text(runner, executor=_NAME, option="runner") in _DIRECT
        given = _options(options)
        apart = not direct or given.get("direct_running_mode") == "multi_processing"
        if apart and work_dir is None:
            raise OptionError(
                f"executor 'beam': with runner={runner!r} tasks run in other processes, so that a work_dir is needed "
                f"that they and this one can write to (work_dir='gs://bucket/dir', say)"
            )
        workers = usable_cores() if direct else _FAR_WORKERS
        poll = poll_seconds if poll_seconds is not None else (0.05 if direct else 1.0)
        settings = Settings(
            runner=runner,
            options=given,
            work_dir=None
            if work_dir is None
            else path(work_dir, executor=_NAME, option="work_dir"),
            workers=workers
            if max_workers is None
            else whole_number(max_workers, executor=_NAME, option="max_workers"),
            # A direct runner runs the elements of a pipeline one after another.
            together=not direct,
            cancels=not direct,
            poll_seconds=seconds(poll, executor=_NAME, option="poll_seconds"),
        )
        limit = whole_number(batch_limit, executor=_NAME, option="batch_limit")
        super().__init__(
            BeamSystem(
                settings,
                _capabilities(self.features, direct=direct, limit=limit, settings=settings),
            ),
            patience=seconds(patience, executor=_NAME, option="patience"),
        )


def _options(options: Mapping[str, Any] | None) -> dict[str, Any]:
    given = mapping(options, executor=_NAME, option="options")
    if "runner" in given:
        raise OptionError("executor 'beam': runner is an option of its own: runner='…'")
    return given


def _capabilities(
    features: Capabilities, *, direct: bool, limit: int, settings: Settings
) -> Capabilities:
    here = replace(features, batch_limit=limit)
    if settings.work_dir is None:
        return here
    apart = not direct or settings.options.get("direct_running_mode") == "multi_processing"
    return replace(
        here,
        shares_memory=False,
        local=direct,
        isolated=apart,
        metered=not direct,
        call_seconds=here.call_seconds if direct else 10.0,
    )
