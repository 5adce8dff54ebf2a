"""Hashes of objects: equal for what is equal, different for what differs."""

import abc
import contextlib
import datetime as dt
import dis
import enum
import functools
import math
import operator
import pathlib
import re
import sys
import threading
import types
from collections import Counter, OrderedDict, defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, strategies as st

from asyncexec.errors import SerializationError
from asyncexec.plan.fingerprint.digest import Digest


def digest(value):
    return Digest().of(value)


def function_of(source, name="f", **names):
    """The function that `source` defines, as if in a module of the user's."""
    namespace = {"__name__": "users_module", **names}
    exec(compile(source, "users_module.py", "exec"), namespace)
    return namespace[name]


class Point(NamedTuple):
    x: int
    y: int


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


@dataclass(frozen=True)
class Scale:
    factor: float
    note: str = field(default="", compare=False)

    def __call__(self, x):
        return x * self.factor


class Shift:
    def __init__(self, by):
        self.by = by

    @functools.cached_property
    def table(self):
        return list(range(self.by))

    def __call__(self, x):
        return x + self.by


DIFFERENT = {
    "none": lambda: None,
    "true": lambda: True,
    "one": lambda: 1,
    "one as float": lambda: 1.0,
    "one as text": lambda: "1",
    "one as bytes": lambda: b"1",
    "one as complex": lambda: 1 + 0j,
    "one of numpy": lambda: np.int64(1),
    "one of numpy, short": lambda: np.int32(1),
    "minus zero": lambda: -0.0,
    "zero": lambda: 0.0,
    "nan": lambda: float("nan"),
    "a huge integer": lambda: 10**5000,
    "ellipsis": lambda: ...,
    "not implemented": lambda: NotImplemented,
    "empty tuple": lambda: (),
    "empty list": list,
    "empty dict": dict,
    "empty set": set,
    "empty frozenset": frozenset,
    "list": lambda: [1, 2],
    "list with true": lambda: [True, 2],
    "tuple": lambda: (1, 2),
    "nested left": lambda: ((1,), 2),
    "nested right": lambda: (1, (2,)),
    "named tuple": lambda: Point(1, 2),
    "dict": lambda: {"a": 1, "b": 2},
    "dict, exchanged": lambda: {"a": 2, "b": 1},
    "dict of other keys": lambda: {1: "a", (2,): "b"},
    "ordered dict": lambda: OrderedDict(a=1, b=2),
    "default dict": lambda: defaultdict(int, a=1, b=2),
    "counter": lambda: Counter("aab"),
    "set": lambda: {"a", "b"},
    "set of types": lambda: {int, str, Scale},
    "range": lambda: range(1, 5, 2),
    "another range": lambda: range(1, 7, 2),
    "slice": lambda: slice(1, 5, 2),
    "byte array": lambda: bytearray(b"ab"),
    "memory view": lambda: memoryview(b"ab"),
    "array": lambda: np.array([1, 2, 3]),
    "array, other type": lambda: np.array([1, 2, 3], dtype=np.int32),
    "array, other shape": lambda: np.array([[1, 2, 3]]),
    "array, other elements": lambda: np.array([1, 2, 4]),
    "array without axes": lambda: np.array(1),
    "empty array": lambda: np.zeros((0, 3)),
    "array of dates": lambda: np.array(["2020-01-01"], dtype="M8[D]"),
    "array of objects": lambda: np.array([1, "a"], dtype=object),
    "array of records": lambda: np.zeros(2, dtype=[("a", "i4"), ("b", "f8")]),
    "array of other records": lambda: np.zeros(2, dtype=[("a", "i4"), ("c", "f8")]),
    "array of strings": lambda: np.array(["a", "bc"], dtype=np.dtypes.StringDType()),
    "array of other strings": lambda: np.array(["a", "bd"], dtype=np.dtypes.StringDType()),
    "masked array": lambda: np.ma.array([1, 2, 3], mask=[0, 0, 1]),
    "data type": lambda: np.dtype("f4"),
    "data type of records": lambda: np.dtype([("a", "f4")]),
    "enum": lambda: Colour.RED,
    "other enum": lambda: Colour.BLUE,
    "flag": lambda: re.IGNORECASE,
    "pattern": lambda: re.compile("a"),
    "date": lambda: dt.date(2020, 1, 1),
    "decimal": lambda: Decimal("1.0"),
    "path": lambda: pathlib.PurePosixPath("a/b"),
    "dataclass": lambda: Scale(2.0),
    "dataclass, other field": lambda: Scale(3.0),
    "dataclass, other field that does not compare": lambda: Scale(2.0, "loud"),
    "object": lambda: Shift(2),
    "other object": lambda: Shift(3),
    "bound method": lambda: Shift(2).__call__,
    "other bound method": lambda: Shift(3).__call__,
    "bound method of a builtin": lambda: "ab".join,
    "other bound method of a builtin": lambda: "abc".join,
    "builtin": lambda: sum,
    "other builtin": lambda: len,
    "operator": lambda: operator.itemgetter(1),
    "other operator": lambda: operator.itemgetter(2),
    "type": lambda: int,
    "class": lambda: Scale,
    "module": lambda: np,
    "other module": lambda: re,
    "generic alias": lambda: list[int],
    "ufunc": lambda: np.add,
    "other ufunc": lambda: np.subtract,
    "library function": lambda: np.mean,
    "other library function": lambda: np.linalg.norm,
    "vectorized": lambda: np.vectorize(lambda x: x + 1),
    "other vectorized": lambda: np.vectorize(lambda x: x + 2),
    "random generator": lambda: np.random.default_rng(3),
    "other random generator": lambda: np.random.default_rng(4),
    "partial": lambda: functools.partial(pow, 2),
    "other partial": lambda: functools.partial(pow, 3),
    "partial by name": lambda: functools.partial(pow, exp=3),
    "cached": lambda: functools.lru_cache(function_of("def f(x): return x")),
    "other cached": lambda: functools.lru_cache(function_of("def f(x): return -x")),
    "lock": threading.Lock,
    "generator": lambda: (i for i in range(3)),
}


def test_things_that_differ_have_different_hashes():
    hashes = {}
    for name, make in DIFFERENT.items():
        twin = hashes.setdefault(digest(make()), name)
        assert twin == name, f"{name} has the hash of {twin}"


@pytest.mark.parametrize("make", DIFFERENT.values(), ids=DIFFERENT)
def test_a_thing_made_again_has_the_same_hash(make):
    assert digest(make()) == digest(make())


json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(json, json)
def test_data_has_one_hash_exactly_if_it_is_equal_in_type_and_content(a, b):
    assert (digest(a) == digest(b)) == (typed(a) == typed(b))
    assert digest([a, b]) == digest([a, b])


def typed(value):
    """A value whose equality tells 1 from True and 0.0 from -0.0, and the order of keys."""
    if isinstance(value, dict):
        return "dict", [(k, typed(v)) for k, v in value.items()]
    if isinstance(value, list | tuple):
        return type(value).__name__, [typed(v) for v in value]
    return type(value).__name__, repr(value)


def test_the_order_of_what_has_no_order_does_not_matter():
    assert digest({1, "b", (3,)}) == digest({(3,), "b", 1})
    even = function_of("def even(n): return n == 0 or odd(n - 1)", "even")
    odd = function_of("def odd(n): return n != 0 and even(n - 1)", "odd", even=even)
    even.__globals__["odd"] = odd
    members = [even, odd, Scale, int]
    assert digest(set(members)) == digest({int, Scale, odd, even})
    assert digest(frozenset(members)) == digest(frozenset([int, Scale, odd, even]))


def test_the_order_of_a_mapping_counts():
    ordered = {"a": 1, "b": [2], (3,): 4}
    for make in (dict, types.MappingProxyType, OrderedDict, Counter):
        assert digest(make(ordered)) != digest(make(dict(reversed(ordered.items()))))
    assert digest(types.SimpleNamespace(a=1, b=2)) == digest(types.SimpleNamespace(b=2, a=1))


def test_whether_equal_parts_are_one_object_does_not_matter():
    part = ["x", 1.5]
    assert digest([part, part]) == digest([part, list(part)])


def test_circles_end():
    circle = [1]
    circle.append(circle)
    other = [2]
    other.append(other)
    assert digest(circle) != digest(other)
    loop = Shift(1)
    loop.by = loop
    assert digest(loop) == digest(loop)


def test_what_a_cached_property_remembers_does_not_count():
    fresh, used = Shift(2), Shift(2)
    assert used.table
    assert digest(fresh) == digest(used)
    _bare, seen = (
        type("Bare", (), {"one": functools.cached_property(lambda self: 1)})() for _ in "ab"
    )
    seen.__class__.one.__set_name__(type(seen), "one")
    before = digest(seen)
    assert seen.one == 1
    assert digest(seen) == before


def test_a_large_array_is_gone_through_once():
    array = np.zeros(10)
    one = Digest()
    first = one.of([array, array])
    array[0] = 1  # which nobody may do meanwhile, and which shows that it is remembered
    assert one.of([array, array]) == first


class Unpicklable:
    def __reduce_ex__(self, protocol):
        raise TypeError("no")


def test_what_cannot_be_pickled_counts_by_its_type():
    assert digest(Unpicklable()) == digest(Unpicklable())
    assert digest(threading.Lock()) == digest(threading.Lock())
    assert digest(Unpicklable()) != digest(threading.Lock())


def test_objects_that_answer_any_name_are_hashed_too():
    class Anything:
        def __getattr__(self, name):
            raise RuntimeError(name)

    assert digest(Anything()) == digest(Anything())
    assert digest(types.SimpleNamespace(a=1)) != digest(types.SimpleNamespace(a=2))


# ---------------------------------------------------------------- functions

BASE = "def f(x, y=1, *, z=2):\n    return helper(x) + y + z + CONSTANT\n"
HELPER = "def helper(x): return x + 1"


def base(source=BASE, helper=HELPER, constant=3, **more):
    return function_of(source, helper=function_of(helper, "helper"), CONSTANT=constant, **more)


@pytest.mark.parametrize(
    "changed",
    [
        lambda: base(BASE.replace("+ y", "- y")),
        lambda: base(BASE.replace("y=1", "y=2")),
        lambda: base(BASE.replace("z=2", "z=3")),
        lambda: base(BASE.replace("+ CONSTANT", "+ CONSTANT + 4")),
        lambda: base(helper=HELPER.replace("1", "2")),
        lambda: base(helper="def helper(x, /): return x + 1"),
        lambda: base(constant=4),
        lambda: base(constant=[3]),
        lambda: base("async " + BASE),
        lambda: base(BASE.replace("helper(x)", "(lambda: helper(x))()")),
    ],
)
def test_a_function_that_does_something_else_has_another_hash(changed):
    assert digest(changed()) != digest(base())


@pytest.mark.parametrize(
    "same",
    [
        lambda: base("\n\n# moved and annotated\n" + BASE),
        lambda: base(BASE.replace("x, y=1", "x: int, y: int = 1")),
        lambda: base(BASE + "\ndef other(): return 5\n"),
        lambda: base(UNUSED=5),
        lambda: base(BASE.replace("return ", "return (\n      ").replace("T\n", "T)\n")),
    ],
)
def test_a_function_that_does_the_same_has_the_same_hash(same):
    assert digest(same()) == digest(base())


@pytest.mark.parametrize(
    "source",
    [
        "def f(x): return [helper(i) for i in x]",
        "def f(x):\n    def inner(): return helper(x)\n    return inner()",
        "class f:\n    def __call__(self, x): return helper(x)",
        "class f:\n    @staticmethod\n    def g(x): return helper(x)",
        "class f:\n    @classmethod\n    def g(cls, x): return helper(x)",
        "class f:\n    @property\n    def g(self): return helper(self)",
        "class f:\n    limit = 1\n    def g(self): return helper(self)",
        "f = lambda x: helper(x)",
    ],
)
def test_what_a_function_calls_is_followed_wherever_it_calls_it(source):
    one, same, other = (base(source, helper=h) for h in (HELPER, HELPER, HELPER.replace("1", "2")))
    assert digest(one) == digest(same)
    assert digest(one) != digest(other)


@pytest.mark.parametrize(
    "source",
    [
        "import enum\nclass E(enum.Enum):\n    A = STEP\ndef f(x): return x + E.A.value",
        "import enum\nclass E(enum.Enum):\n    A = STEP\ndef f(x, e=E.A): return x + e.value",
        "class M(type):\n    def __call__(c, x): return x + STEP\nclass f(metaclass=M): pass",
        "class f:\n    table = {'a': [STEP]}\n    def __call__(self, x): return x + self.table['a'][0]",
        "class A:\n    by = STEP\nclass f:\n    a = A()\n    def __call__(self, x): return x + self.a.by",
        "class f:\n    class A:\n        by = STEP\n    def __call__(self, x): return x + self.A.by",
        "class f:\n    @functools.lru_cache\n    def g(self, x): return x + STEP",
        "class f:\n    @functools.singledispatchmethod\n    def g(self, x): return x + STEP",
        "def f(x): return x + f.by\nf.by = STEP",
        "def g(x): return x + g.by\ng.by = STEP\ndef f(x): return g(x)",
        "@functools.singledispatch\ndef f(x): return 0\n@f.register\ndef _(x: int): return x + STEP",
        "@contextlib.contextmanager\ndef f(x): yield x + STEP",
        "@contextlib.contextmanager\ndef g(x): yield x + STEP\ndef f(x):\n    with g(x) as y: return y",
    ],
)
def test_what_a_function_uses_counts_in_whatever_it_is_wrapped(source):
    def made(step):
        text = source.replace("STEP", str(step))
        return function_of(text, functools=functools, contextlib=contextlib)

    digest_of = Digest(strict=True).of
    assert digest_of(made(1)) == Digest(strict=True).of(made(1))
    assert digest_of(made(1)) != Digest(strict=True).of(made(2))


@pytest.mark.parametrize(
    "source",
    [
        "@functools.singledispatch\ndef f(x): return 0\n@f.register\ndef _(x: int): return x",
        "class F(enum.Flag):\n    A = 1\n    B = 2\ndef f(x): return (F.A | F.B) and x",
        "class A(abc.ABC): pass\ndef f(x): return not isinstance(x, A) and x",
        "class A:\n    @functools.lru_cache\n    def g(self, x): return x\ndef f(x): return A().g(x)",
    ],
)
def test_use_does_not_change_the_hash(source):
    function = function_of(source, functools=functools, enum=enum, abc=abc)
    before = digest(function)
    assert function(2) == 2
    assert digest(function) == before


def test_a_lock_of_a_class_counts_by_its_type():
    users = function_of("class f:\n    lock = threading.Lock()\n    by = 1", threading=threading)
    assert Digest(strict=True).of(users) == digest(users)


def test_closures_count_by_what_they_hold():
    def adder(n):
        return lambda x: x + n

    assert digest(adder(1)) == digest(adder(1))
    assert digest(adder(1)) != digest(adder(2))
    assert digest([adder(1), adder(2)]) != digest([adder(2), adder(1)])


def test_a_cell_that_is_not_assigned_yet_is_no_obstacle():
    def outer():
        def inner():
            return later  # noqa: F821 - deleted below

        later = 1
        del later
        return inner

    assert digest(outer()) == digest(outer())


def test_only_the_attributes_taken_of_a_users_module_are_followed():
    def using(source):
        module = types.ModuleType("users_helpers")
        exec(source, module.__dict__)
        return function_of("def f(x): return tools.clean(x)", tools=module)

    one = using("def clean(x): return x\ndef other(x): return x")
    assert digest(one) == digest(using("def clean(x): return x\ndef other(x): return -x"))
    assert digest(one) != digest(using("def clean(x): return -x\ndef other(x): return x"))


def test_a_library_counts_by_name_and_version():
    def using(version):
        library = types.ModuleType("library")
        library.__version__, library.__file__ = version, "/usr/lib/site-packages/library.py"
        exec("def f(x): return x", library.__dict__)
        return library

    hashes = []
    for version in ("1.0", "1.1"):
        with pytest.MonkeyPatch.context() as patch:
            library = using(version)
            patch.setitem(sys.modules, "library", library)
            hashes.append(digest(library.f))
            library.f.__code__ = (lambda x: -x).__code__
            assert digest(library.f) == hashes[-1]
    assert hashes[0] != hashes[1]


def test_what_wraps_a_library_function_is_not_mistaken_for_it():
    @functools.wraps(operator.index)
    def wrapped(x):
        return -x

    @functools.wraps(functools.reduce)
    def other(x):
        return -x

    assert digest(wrapped) != digest(other)
    assert digest(functools.wraps(np.linalg.norm)(lambda x: x)) != digest(np.linalg.norm)


def test_functions_that_call_each_other_are_hashed_in_full():
    def pair(step):
        even = function_of(f"def f(n): return n == 0 or g(n - {step})")
        even.__globals__["g"] = function_of("def g(n): return n != 0 and f(n - 1)", "g", f=even)
        return even

    assert digest(pair(1)) == digest(pair(1))
    assert digest(pair(1)) != digest(pair(2))


def test_many_functions_that_all_call_each_other_cost_little():
    names = [f"f{i}" for i in range(40)]
    source = "\n".join(f"def {n}(): return {', '.join(m + '()' for m in names)}" for n in names)
    assert digest(function_of(source, "f0")) == digest(function_of(source, "f0"))


def test_code_is_disassembled_once_however_often_it_is_hashed(monkeypatch):
    seen, disassemble = [], dis.get_instructions

    def noting(code):
        seen.append(code.co_name)
        return disassemble(code)

    monkeypatch.setattr(dis, "get_instructions", noting)

    def never_hashed_before(x):
        return math.tau + x

    hashes = {Digest().of(never_hashed_before) for _ in range(3)}
    assert len(hashes) == 1
    assert seen.count("never_hashed_before") == 1


def test_what_is_shared_many_times_is_gone_through_once():
    class Pair:
        def __init__(self, left, right):
            self.left, self.right = left, right

    lists, objects = [1], Pair(1, 2)
    for _ in range(60):
        lists, objects = [lists, lists], Pair(objects, objects)
    assert digest(lists) == digest([lists[0], lists[1]])
    assert digest(objects) != digest(objects.left)


def test_what_is_nested_too_deeply_is_refused_by_name():
    nested = [1]
    for _ in range(10_000):
        nested = [nested, 2]
    with pytest.raises(SerializationError, match="list is nested too deeply"):
        digest(nested)


def test_a_long_chain_of_functions_is_followed_to_its_end():
    def chain(step):
        function = function_of(f"def f(x): return x + {step}")
        for _ in range(2_000):
            function = function_of("def f(x): return g(x)", g=function)
        return function

    assert digest(chain(1)) == digest(chain(1))
    assert digest(chain(1)) != digest(chain(2))


def test_a_missing_package_is_no_reason_to_go_through_all_that_are_installed(monkeypatch):
    def searched():
        raise AssertionError("went through all packages")

    monkeypatch.setattr("importlib.metadata.packages_distributions", searched)
    source = "def f(x):\n    try: import not_there_at_all\n    except ImportError: return x"
    assert digest(function_of(source)) == digest(function_of(source))
