"""The old name of :mod:`asyncexec.histories`."""

from asyncexec.histories import Attempts, RecordedRun, RecordedStage, read_run

__all__ = ["Attempts", "RecordedRun", "RecordedStage", "read_run"]
