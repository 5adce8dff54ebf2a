"""Checks of stages whose values may be missing, because failures are kept, and of those that read them."""

from __future__ import annotations

from typing import get_args

from asyncexec.errors import OptionError
from asyncexec.plan.stage import OnFailure, Stage

_CHOICES = get_args(OnFailure.__value__)


def check_missing(where: str, stage: Stage, may_be_missing: set[str]) -> None:
    """Raise unless ``stage`` can do without the values that may be missing.

    Parameters
    ----------
    where : str
        The stage in words.
    stage : Stage
    may_be_missing : set of str
        The stages before it whose values may be missing; its own name is added if its values may be.

    Raises
    ------
    OptionError
    """
    if stage.on_failure not in _CHOICES:
        raise OptionError(f"{where}: on_failure must be 'fail' or 'keep', not {stage.on_failure!r}")
    for name in ("takes_missing", "idempotent"):
        if not isinstance(given := getattr(stage, name), bool):
            raise OptionError(f"{where}: {name} must be True or False, not {given!r}")
    reads = [r.stage for r in stage.reads if r.stage in may_be_missing and not r.many]
    if stage.holds_values:
        if stage.on_failure == "keep" or (reads and not stage.takes_missing):
            may_be_missing.add(stage.name)
    elif stage.on_failure == "keep":
        raise OptionError(
            f"{where} puts out chunks, and nothing can take the place of a chunk: on_failure='keep' is for stages that "
            f"put out values"
        )
    elif reads:
        raise OptionError(
            f"{where} puts out chunks and reads {reads[0]!r}, whose values may be missing, as failures are kept "
            f"(on_failure='keep'): put a stage in between that takes what is missing (takes_missing=True)"
        )
