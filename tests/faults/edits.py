"""A user's files, in which an amount stands in one place or another, as text that is edited between two runs."""

COMMON = """
from dataclasses import dataclass
from typing import Any

@dataclass
class Kernel:
    kernel: Any
    def __call__(self, block):
        return self.kernel(block) + (extra() - 1.0)

def wrap(kernel):
    return Kernel(kernel)
"""

# Each gives the modules of a user, whose `extra()` returns the amount.
EDITS = {
    "a global": {"user": "AMOUNT = {a}\ndef extra(): return AMOUNT\n"},
    "a nested table": {
        "user": "T = {{'x': [0, {{'y': ({a},)}}]}}\ndef extra(): return T['x'][1]['y'][0]\n"
    },
    "an inherited attribute": {
        "user": "class A:\n    amounts = [{a}]\nclass B(A): pass\ndef extra(): return B().amounts[0]\n"
    },
    "a function of another module by name": {
        "user": "import other\ndef extra(): return getattr(other, 'am' + 'ount')()\n",
        "other": "def amount(): return {a}\n",
    },
    "a default": {"user": "def extra(a={a}): return a\n"},
    "a closure": {"user": "def made(a):\n    return lambda: a\nextra = made({a})\n"},
    "behind a cache": {
        "user": "import functools\n@functools.cache\ndef extra(): return {a}\n",
    },
    "an import within": {
        "user": "def extra():\n    from other import AMOUNT as it\n    return it\n",
        "other": "AMOUNT = {a}\n",
    },
    "globals()": {"user": "AMOUNT = {a}\ndef extra(): return globals()['AMO' + 'UNT']\n"},
    "an array": {
        "user": "import numpy as np\nA = np.array([0.0, {a}])\ndef extra(): return A[1]\n"
    },
    "a partial": {
        "user": "import functools\ndef it(a, *, b): return a\nextra = functools.partial(it, {a}, b=1)\n"
    },
    "a property": {
        "user": "class A:\n    @property\n    def a(self): return {a}\nit = A()\ndef extra(): return it.a\n"
    },
    "the order of a mapping": {
        "user": "import json\nT = {{'p': {a}, 'q': 9.0}} if {a} < 2.5 else {{'q': 9.0, 'p': {a}}}\n"
        "def extra(): return next(v for v in T.values() if v != 9.0)\n"
    },
    "a decorator object": {
        "user": "class D:\n    def __init__(self, f): self.f = f\n    def __call__(self): return self.f() + {a}\n"
        "@D\ndef extra(): return 0.0\n"
    },
}


def write(folder, edit, amount):
    folder.mkdir(exist_ok=True)
    for module, text in EDITS[edit].items():
        more = COMMON if module == "user" else ""
        (folder / f"{module}.py").write_text(text.format(a=amount) + more)
