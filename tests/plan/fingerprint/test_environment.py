"""Of the process only what the code names counts, so that another shell can resume a run."""

import logging
import os
import sys
import threading
import types

import pytest

from asyncexec.errors import SerializationError
from asyncexec.plan.fingerprint.digest import Digest

READS = {
    "item": "def f(x): return os.environ['FIRST_NAME']",
    "item of an alias": "def f(x):\n    e = os.environ\n    return e['FIRST_NAME']",
    "item of an imported name": "from os import environ\ndef f(x): return environ['FIRST_NAME']",
    "item of an import within": "def f(x):\n    import os as o\n    return o.environ['FIRST_NAME']",
    "item by from within": "def f(x):\n    from os import environ as e\n    return e['FIRST_NAME']",
    "item of a captured one": "def a(e): return lambda x: e['FIRST_NAME']\nf = a(os.environ)",
    "item by a global": "N = 'FIRST_NAME'\ndef f(x): return os.environ[N]",
    "item by a local": "def f(x):\n    n = 'FIRST_NAME'\n    return os.environ[n]",
    "get": "def f(x): return os.environ.get('FIRST_NAME')",
    "get with a default": "def f(x): return os.environ.get('FIRST_NAME', str(x + 1))",
    "get of an imported name": "from os import environ\ndef f(x): return environ.get('FIRST_NAME', 'a')",
    "get, held": "def f(x):\n    get = os.environ.get\n    return get('FIRST_NAME')",
    "pop": "def f(x): return os.environ.pop('FIRST_NAME', None)",
    "getenv": "def f(x): return os.getenv('FIRST_NAME')",
    "getenv with a default": "def f(x): return os.getenv('FIRST_NAME', default='a')",
    "getenv by its parameter's name": "def f(x): return os.getenv(key='FIRST_NAME')",
    "imported getenv": "from os import getenv\ndef f(x): return getenv('FIRST_NAME')",
    "in": "def f(x): return 'FIRST_NAME' in os.environ",
    "not in": "def f(x): return 1 if 'FIRST_NAME' not in os.environ else 2",
    "bytes": "def f(x): return os.environb[b'FIRST_NAME']",
    "getenvb": "def f(x): return os.getenvb(b'FIRST_NAME')",
    "in a comprehension": "def f(x): return [os.environ['FIRST_NAME'] for _ in range(x)]",
    "in an inner function": "def f(x): return (lambda: os.environ['FIRST_NAME'])()",
    "in a helper": "def g(): return os.environ['FIRST_NAME']\ndef f(x): return g()",
    "in a method": "class C:\n    def g(self): return os.environ['FIRST_NAME']\ndef f(x): return C().g()",
    "in a default's function": "def f(x, g=lambda: os.environ['FIRST_NAME']): return g()",
    "by a helper's parameter": "def g(n, d=None): return os.environ.get(n, d)\ndef f(x): return g('FIRST_NAME')",
    "in a text that is expanded": "def f(x): return os.path.expandvars('$FIRST_NAME/b')",
    "in a text that is expanded, by a global": "T = ['a/${FIRST_NAME}']\ndef f(x): return os.path.expandvars(T[0])",
    "in a template": "import string\nT = string.Template('$FIRST_NAME')\ndef f(x): return T.substitute(os.environ)",
    "by a prefix": "def f(x): return os.environ['FIRST_' + 'name'.upper()]",
    "in a loop": "def f(x): return [os.environ[n] for n in ('FIRST_NAME', 'OTHER_ONE')]",
}  # fmt: skip


def function_of(source):
    namespace = {"__name__": "users_module", "os": os, "sys": sys}
    exec(source, namespace)
    return namespace["f"]


@pytest.mark.parametrize("source", READS.values(), ids=READS)
def test_a_variable_that_code_reads_counts_and_no_other(source, monkeypatch):
    monkeypatch.setenv("FIRST_NAME", "one")
    one = Digest().of(function_of(source))
    monkeypatch.setenv("ANOTHER_NAME", "here")
    monkeypatch.setenv("SHLVL", "1000")
    monkeypatch.delenv("HOME", raising=False)
    assert Digest().of(function_of(source)) == one
    monkeypatch.setenv("FIRST_NAME", "two")
    assert Digest().of(function_of(source)) != one
    monkeypatch.delenv("FIRST_NAME")
    assert Digest().of(function_of(source)) != one


@pytest.mark.parametrize(
    "source",
    [
        "def f(x): return dict(os.environ)",
        "def f(x): return {**os.environ}",
        "def f(x): return os.environ.copy()",
        "def f(x): return [os.environ[n] for n in x]",
        "ENV = os.environ\ndef f(x): return list(ENV)",
        "class C:\n    env = os.environ\ndef f(x): return C.env",
        "def f(x, env=os.environ): return env",
    ],
)
def test_the_whole_environment_does_not_count_and_is_said_not_to(source, monkeypatch):
    digest = Digest()
    one = digest.of(function_of(source))
    assert "variables of the environment whose names are worked out" in digest.findings.unseen
    monkeypatch.setenv("SHLVL", "1000")
    assert Digest().of(function_of(source)) == one


PROCESS = """
import contextvars, logging, sys, threading, time, weakref
LOG = logging.getLogger("mine")
LOCK = threading.Lock()
REENTRANT = threading.RLock()
LOCAL = threading.local()
READY = threading.Event()
CONTEXT = contextvars.ContextVar("c", default=1)
SEEN = weakref.WeakKeyDictionary()
OUT = open(sys.argv[1], "w")
ARGUMENTS = sys.argv
HANDLER = logging.StreamHandler(sys.stderr)
class Guarded:
    def __init__(self): self.lock, self.by = threading.Lock(), 1
GUARDED = Guarded()
def f(x):
    LOG.addHandler(HANDLER)
    with LOCK, REENTRANT, GUARDED.lock:
        READY.set()
        SEEN[f] = LOCAL
        print(CONTEXT.get(), ARGUMENTS, sys.argv, sys.path, time.time(), file=OUT)
        return x + GUARDED.by
"""


def test_what_belongs_to_a_process_is_no_obstacle(tmp_path, monkeypatch):
    hashes = []
    for name in "ab":
        monkeypatch.setattr(sys, "argv", ["program", str(tmp_path / name)])
        function = function_of(PROCESS)
        function.__globals__["READY"].set()
        hashes.append(Digest(strict=True).of(function))
        function.__globals__["OUT"].close()
    assert hashes[0] == hashes[1]
    changed = function_of(
        PROCESS.replace("self.by = threading.Lock(), 1", "self.by = threading.Lock(), 2")
    )
    assert Digest(strict=True).of(changed) != hashes[0]
    changed.__globals__["OUT"].close()


@pytest.mark.parametrize(
    "source",
    [
        "T = (i for i in range(3))\ndef f(x): return next(T)",
        "def a(t): return lambda x: t\nf = a(__import__('threading').Lock())",
        "import socket\nT = socket.socket()\ndef f(x): return T",
    ],
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_has_no_content_to_compare_is_refused_where_that_matters(source):
    function = function_of(source)
    with pytest.raises(SerializationError, match="cannot be hashed by its content"):
        Digest(strict=True).of(function)
    digest = Digest()
    assert digest.of(function) == Digest().of(function)
    held = function.__globals__.get("T")
    if hasattr(held, "close"):
        held.close()


def test_loggers_and_streams_may_be_captured():
    def held(by):
        return lambda x: print(x, by)

    for harmless in (logging.getLogger("mine"), sys.stdout, sys.stderr):
        Digest(strict=True).of(held(harmless))
    with pytest.raises(SerializationError):
        Digest(strict=True).of(held(threading.Lock()))
    assert isinstance(held(1), types.FunctionType)
