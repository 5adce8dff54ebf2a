"""Recorded runs: their histories read back, and the causes of what their attempts took.

>>> from asyncexec.histories import read_run
>>> history = ax.History("runs", format="csv")
>>> result = ax.sync.execute(ax.Plan.map(abs, range(3)), executor="serial", observers=[history])
>>> run = read_run(history.folders[0])
>>> run.plan, run.attempts, run.stages[0].attempts.task.tolist()
('abs', 3, [0, 1, 2])
"""

from asyncexec.histories.reading import read_run
from asyncexec.histories.recorded import Attempts, RecordedRun, RecordedStage

__all__ = ["Attempts", "RecordedRun", "RecordedStage", "read_run"]
