"""Modules of a user's, made for a test and forgotten after it."""

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def imported(folder: Path, files: Mapping[str, str], module: str = "kernel") -> Iterator[Any]:
    """Write the files into the folder, and import a module of them, which is forgotten afterwards with all others."""
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    known, variables = set(sys.modules), set(os.environ)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield importlib.import_module(module)
    finally:
        sys.dont_write_bytecode = writes
        sys.path.remove(str(folder))
        for name in set(os.environ) - variables:
            del os.environ[name]
        for name in set(sys.modules) - known:
            file = getattr(sys.modules[name], "__file__", None)
            if file is None or file.startswith(str(folder)):
                del sys.modules[name]
