"""Further recorded runs of the same plan, whose tasks are witnesses."""

from __future__ import annotations

from asyncexec.errors import AsyncexecError
from asyncexec.histories.reading import read_run
from asyncexec.histories.recorded import RecordedRun
from asyncexec.histories.task_causes import ALIKE_Z, known_in_both, together

_MOST_LIKE = 5


def like_runs(run: RecordedRun) -> list[RecordedRun]:
    """Return further runs of the same plan in the folder around ``run``, the latest few.

    A plan whose functions and inputs are not known by a fingerprint is the same if its stages have the same names and
    shapes, and what is slow in one run is so in the other: by chance, slow tasks would hardly be the same ones.
    """
    found: list[RecordedRun] = []
    for path in sorted(run.folder.parent.glob("*/plan.json"), reverse=True):
        if path.parent != run.folder and len(found) < _MOST_LIKE:
            try:
                other = read_run(path.parent)
            except AsyncexecError:
                continue  # It has not ended, or cannot be read: it is not what was asked for.
            if _same_plan(run, other):
                found.append(other)
    return found


def _same_plan(run: RecordedRun, other: RecordedRun) -> bool:
    shapes, others = ([(s.name, s.shape) for s in each.stages] for each in (run, other))
    if run.plan != other.plan or shapes != others or run.fingerprint != other.fingerprint:
        return False
    return bool(run.fingerprint) or any(
        together(*known_in_both(one.own_seconds, two.own_seconds)) > ALIKE_Z
        for one, two in zip(run.stages, other.stages, strict=True)
    )
