"""Environment variables of this process, set for a while."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable
from contextlib import contextmanager


@contextmanager
def kept_variables(names: Iterable[str]) -> Generator[None]:
    """Put these environment variables back, when the context is left, to what they are on entering it."""
    before = {name: os.environ.get(name) for name in names}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
