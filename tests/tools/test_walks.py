"""The counter of the walks sees the package's own functions, each in the order of its first call."""

import importlib.machinery
import importlib.util
import sys
import threading
from pathlib import Path

import pytest

from asyncexec.plan.memory import format_bytes, parse_bytes

TOOL = Path(__file__).parents[2] / "tools" / "walks"


@pytest.fixture
def tool():
    loader = importlib.machinery.SourceFileLoader("walks_tool", str(TOOL))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    sys.modules[loader.name] = module
    loader.exec_module(module)
    yield module
    del sys.modules[loader.name]


def test_functions_of_the_package_are_counted_on_every_thread(tool):
    thread = threading.Thread(target=parse_bytes, args=("1MB",))
    with tool.walking() as walk:
        format_bytes(10)
        format_bytes(20)
        thread.start()
        thread.join()
    calls = {code.co_name: count for code, count in walk.calls.items()}
    assert calls["format_bytes"] == 2
    assert calls["parse_bytes"] == 1
    assert next(iter(calls)) == "format_bytes"
    assert walk.files == ["plan/memory.py"]


def test_nothing_is_counted_after_the_walk(tool):
    with tool.walking() as walk:
        pass
    format_bytes(10)
    assert walk.calls.total() == 0
