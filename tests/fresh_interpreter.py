"""Code that is run in an interpreter of its own."""

import subprocess
import sys
from typing import Any

from asyncexec.testing.patience import scaled


def printed_by(code: str, *arguments: str, seconds: float = 60.0, **options: Any) -> str:
    """Run ``code`` in a fresh interpreter that may take so long, and return what it prints.

    Its failure is that of the test, with what it says of it.
    """
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=scaled(seconds),
        **options,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
