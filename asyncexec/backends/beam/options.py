"""The options of the executor ``beam``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from asyncexec.backends.beam.checks import check_runner, direct_runner
from asyncexec.backends.cores import usable_cores
from asyncexec.backends.option_fields import check_options
from asyncexec.config.checks import AnyPath, Count, Seconds, mapping
from asyncexec.errors import OptionError

_FAR_WORKERS = 100


def _pipeline_options(value: object, where: str) -> dict[str, Any]:
    given = mapping(value, where)
    if "runner" in given:
        raise OptionError(f"{where}: runner is an option of its own: runner='…'")
    return given


@dataclass(frozen=True, slots=True, kw_only=True)
class BeamOptions:
    """Options of the executor ``beam``."""

    runner: str = "DirectRunner"
    """Beam's name of it: "DirectRunner" (of which the part in this process is used, "FnApiRunner"), "DataflowRunner",
    "FlinkRunner" …"""

    options: Annotated[Mapping[str, Any], _pipeline_options] | None = field(
        default=None, repr=False
    )
    """The runner's own options, as ``PipelineOptions.from_dictionary`` takes them. A name that Beam would ignore
    is refused."""

    work_dir: AnyPath | None = None
    """A directory in a file system of Beam's (a path, "gs://bucket/dir", "s3://…"). A directory in it is made, and
    removed on leaving. Not needed by a direct runner."""

    max_workers: Count | None = None
    """How many batches run at once; default: one for each core with a direct runner, 100 elsewhere."""

    batch_limit: Count = 1_000
    """How many tasks may go into one batch."""

    poll_seconds: Seconds | None = None
    """How often to look for answers in ``work_dir``; default: 0.05 with a direct runner, 1 elsewhere."""

    patience: Seconds = 30.0
    """Seconds that work waits while given-up tasks hold every worker, before Beam counts as broken."""

    def __post_init__(self) -> None:
        check_options(self, executor="beam")
        check_runner(self.runner)
        if self.separate and self.work_dir is None:
            raise OptionError(
                f"executor 'beam': with runner={self.runner!r} tasks run in other processes, so that a work_dir is "
                f"needed that they and this one can write to (work_dir='gs://bucket/dir', say)"
            )

    @property
    def direct(self) -> bool:
        """True for a runner of this machine: it cannot be stopped, and runs elements one after another."""
        return direct_runner(self.runner) is not None

    @property
    def runner_used(self) -> str:
        """The runner that pipelines are given to."""
        return direct_runner(self.runner) or self.runner

    @property
    def separate(self) -> bool:
        """True if tasks run in other processes than this one."""
        running = (self.options or {}).get("direct_running_mode")
        return not self.direct or running == "multi_processing"

    @property
    def workers(self) -> int:
        """The number of batches that run at once."""
        return self.max_workers or (usable_cores() if self.direct else _FAR_WORKERS)

    @property
    def poll_interval(self) -> float:
        """The seconds between looks for answers."""
        if self.poll_seconds is not None:
            return self.poll_seconds
        return 0.05 if self.direct else 1.0
