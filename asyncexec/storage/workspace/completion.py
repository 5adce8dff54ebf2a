"""The end of a run that is complete: errors in removing what only the run needed are logged, and its result stays."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager

_log = logging.getLogger(__name__)


@contextmanager
def complete(*, succeeded: bool) -> Generator[None]:
    """Log what is raised inside, if the run has ``succeeded``; else raise it.

    An error would say that there are no targets. But they cannot be taken back any more: they are everybody's by then,
    and some may have lost the stamp that says whose they are.
    """
    try:
        yield
    except BaseException as error:
        if not succeeded:
            raise
        _log.warning(
            "a run is complete, and its result is right; but not all that only the run needed could be removed: "
            "%s: %s. asyncexec.storage.clean removes what is left in work_dir",
            type(error).__name__,
            error,
        )
        _log.debug("not removed", exc_info=True)
