"""The place of the run store where nobody has named one."""

from __future__ import annotations

import os
from pathlib import Path


def default_database() -> Path:
    """Return the SQLite file of this user's runs, in the directory for the state of programs."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "asyncexec" / "runs.db"
