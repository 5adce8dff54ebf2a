"""An edit that changes what a kernel returns changes its fingerprint, wherever it is."""

import importlib.util
import inspect
import re
import types

import numpy as np
import pytest

from asyncexec.plan.fingerprint.digest import Digest
from tests.plan.fingerprint.edits import EDITS, KINDS
from tests.plan.fingerprint.user_modules import imported

# A generator that was drawn from and a memo that was filled are other data: nothing tells them from what was edited.
CHANGED_BY_USE = {
    "class: random",
    "module: stored in a global later",
    "more: io bytesio",
    "more: io stringio",
    "more: queue",
    "wrapper: exit stack of a decorator",
    "wrapper: memo of one's own",
    "wrapper: partial in a default dict",
}


def digest_and_value(folder, files):
    """The fingerprint of the kernel before it is called, what it returns, and the fingerprint afterwards."""
    with imported(folder, files) as module:
        before = Digest().of(module.f)
        value = shown(module.f(2))
        return before, value, Digest().of(module.f)


def shown(value):
    if inspect.iscoroutine(value):
        value.close()
        return "coroutine"
    if isinstance(value, types.GeneratorType):
        return "generator"
    return repr(value.tobytes() if isinstance(value, np.ndarray) else value)


def has_all_of(files):
    """Whether the libraries that an edit is about are installed."""
    names = re.findall(r"^import (\w+)", "\n".join(files.values()), re.MULTILINE)
    return all(importlib.util.find_spec(name) for name in names)


@pytest.mark.parametrize("kind", KINDS)
def test_an_edit_that_changes_values_changes_the_fingerprint_and_nothing_else_does(kind, tmp_path):
    unnoticed, unstable = [], []
    names = [name for name in EDITS if name.startswith(kind)]
    for number, name in enumerate(names):
        one, other = EDITS[name]
        if kind == "library" and not has_all_of(one):
            continue
        first, value, called = digest_and_value(tmp_path / f"{number}-one", one)
        second, changed, _ = digest_and_value(tmp_path / f"{number}-other", other)
        again, _, _ = digest_and_value(tmp_path / f"{number}-elsewhere", one)
        assert value != changed, f"{name}: the edit changes nothing"
        if first == second:
            unnoticed.append(name)
        if first != again or (first != called and name not in CHANGED_BY_USE):
            unstable.append(name)
    assert names
    assert (unnoticed, unstable) == ([], [])
