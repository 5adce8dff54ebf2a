"""A plan explains what its fingerprint takes in."""

import threading

import pytest

import asyncexec as ax
from asyncexec.errors import SerializationError
from asyncexec.plan.fingerprint.plan_fingerprint import fingerprint
from tests.plan.fingerprint.user_modules import imported

FILES = {
    "kernel.py": """
import os, numpy as np, helper
class C:
    by = {"a": 1}
def read(name): return os.environ.get(name)
def f(x):
    from later import g
    return np.sin(x) + g(x) + C.by["a"] + float(os.environ["SCALE"])
def by_name(x, n): return getattr(helper, n)(x)
def loaded(x):
    import importlib
    return importlib.import_module(x).g(1)
def named(x): return read(x)
def absent(x):
    import nowhere_to_be_found
    import broken
""",
    "helper.py": "import deeper\ndef g(x): return deeper.h(x)\n",
    "deeper.py": "def h(x): return x\n",
    "later.py": "def g(x): return x\n",
    "broken.py": "raise RuntimeError('not here')\n",
}


def test_each_stage_says_what_counts(tmp_path):
    with imported(tmp_path, FILES) as kernel:
        plan = ax.Plan.map(kernel.f, [1]).then(kernel.by_name).then(kernel.loaded)
        plan = plan.then(kernel.named).then(kernel.absent)
        told = plan.explain()
        assert str(told) == str(plan.explain())
    precise, whole, around, environment, absent = told.stages
    assert set(precise.functions) == {"kernel.f", "later.g"}
    assert precise.classes == ("kernel.C",)
    assert "numpy" in precise.packages
    assert precise.environment == ("SCALE",)
    assert (dict(precise.whole_modules), precise.unseen, precise.refused) == ({}, (), "")
    assert set(whole.whole_modules) == {"helper", "deeper"}
    assert {"kernel", "later", "broken", "helper"} <= set(around.whole_modules)
    assert "loaded" in around.whole_modules["kernel"]
    assert environment.unseen == ("variables of the environment whose names are worked out",)
    assert "broken" in absent.whole_modules
    assert "not here" in absent.whole_modules["broken"]
    text = str(told)
    for part in (
        told.fingerprint,
        "kernel.f",
        "numpy ",
        "SCALE",
        "the whole module helper",
        "not seen",
    ):
        assert part in text


def test_a_stage_that_cannot_be_compared_says_why():
    lock = threading.Lock()
    plan = ax.Plan.map(lambda x: lock, [1], name="held")
    (stage,) = plan.explain().stages
    assert "lock" in stage.refused
    assert "cannot be resumed" in str(stage)
    with pytest.raises(SerializationError, match="'held'"):
        fingerprint(plan, strict=True)
    assert "'held'" in fingerprint(plan).refused
    assert fingerprint(ax.Plan.map(abs, [1])).refused == ""


def test_an_explanation_changes_nothing(tmp_path):
    with imported(tmp_path, FILES) as kernel:
        plan = ax.Plan.map(kernel.f, [1])
        told = plan.explain()
        assert told.fingerprint == plan.fingerprint == ax.Plan.map(kernel.f, [1]).fingerprint
