"""The examples in docstrings do what they show, each in an empty folder; what users call has one."""

import enum
import importlib
import inspect
from importlib.util import find_spec
from types import FunctionType, ModuleType

import pytest

from tests.docs.docstring_examples import DocstringExample, examples, run

EXAMPLES = {found.place: found for found in examples()}

# Where users find their names.
PUBLIC = [
    "asyncexec",
    "asyncexec.array",
    "asyncexec.array.fft",
    "asyncexec.array.linalg",
    "asyncexec.plan",
    "asyncexec.plan.relations",
    "asyncexec.policies",
    "asyncexec.straggler",
    "asyncexec.straggler.cubed",
    "asyncexec.straggler.late",
    "asyncexec.straggler.spark",
    "asyncexec.observers",
    "asyncexec.simulation",
    "asyncexec.sync",
    "asyncexec.testing.fates",
    "asyncexec.testing.faults",
    "asyncexec.testing.faulty_backend",
    "asyncexec.testing.injection",
    "asyncexec.testing.model_backend",
    "asyncexec.testing.virtual_clock",
    "asyncexec.testing.virtual_time",
]
CUBED = "asyncexec.integrations.cubed"
XARRAY = "asyncexec.integrations.xarray"
HAS_XARRAY = find_spec("xarray") is not None
if HAS_XARRAY:
    PUBLIC.append(XARRAY)
HAS_CUBED = find_spec("cubed") is not None
if HAS_CUBED:
    PUBLIC.append(CUBED)

# Classes whose every public method is for users to call.
CALLED = ["asyncexec.Engine", "asyncexec.Plan"]

# What has none yet. It may only get shorter: what gets an example is taken off.
LACKING = {
    "asyncexec.plan.relations.Guarded",
    "asyncexec.plan.relations.Window",
    "asyncexec.plan.relations.of_access",
    "asyncexec.testing.fates.Visit",
    "asyncexec.testing.faults.FaultyFunction",
    "asyncexec.testing.injection.FaultyIO",
    "asyncexec.testing.model_backend.Ledger",
    "asyncexec.testing.virtual_clock.shuffle_tasks",
}


def of_this_package(found: object) -> bool:
    return getattr(found, "__module__", "").startswith("asyncexec")


def needs_an_example(found: object) -> bool:
    """Functions, and classes that users make; not what they implement, catch, or are given by name."""
    if not inspect.isroutine(found) and not inspect.isclass(found):
        return False
    given = inspect.isclass(found) and (
        issubclass(found, Exception | enum.Enum) or getattr(found, "_is_protocol", False)
    )
    return of_this_package(found) and not given


def names_of(module: ModuleType) -> list[str]:
    """What a module offers: what it lists, or else what it defines."""
    own = [n for n, v in vars(module).items() if getattr(v, "__module__", "") == module.__name__]
    return getattr(module, "__all__", None) or [n for n in own if not n.startswith("_")]


def public_names() -> dict[str, str]:
    """Each public name that needs an example, by the place of its docstring; the shortest where there are several."""
    found: dict[str, str] = {}
    for module_name in PUBLIC:
        module = importlib.import_module(module_name)
        for name in names_of(module):
            value = getattr(module, name)
            value = inspect.unwrap(value) if callable(value) else value
            if needs_an_example(value):
                found.setdefault(
                    f"{value.__module__}.{value.__qualname__}", f"{module_name}.{name}"
                )
    for place, name in list(found.items()):
        if name in CALLED:
            module_name, _, class_name = place.rpartition(".")
            for method, value in vars(
                getattr(importlib.import_module(module_name), class_name)
            ).items():
                if isinstance(value, classmethod | FunctionType) and not method.startswith("_"):
                    found[f"{place}.{method}"] = f"{name}.{method}"
    return found


PLACES = {name: place for place, name in public_names().items()}


@pytest.mark.parametrize("place", EXAMPLES)
def test_an_example_does_what_it_shows(place, tmp_path, monkeypatch):
    if place.startswith(CUBED) and not HAS_CUBED:
        pytest.skip("Cubed is not installed")
    if place.startswith(XARRAY) and not HAS_XARRAY:
        pytest.skip("xarray is not installed")
    monkeypatch.chdir(tmp_path)
    run(EXAMPLES[place])


@pytest.mark.parametrize("name", sorted(PLACES.keys() - LACKING))
def test_what_users_call_has_an_example(name):
    assert PLACES[name] in EXAMPLES


def test_what_has_an_example_by_now_is_no_exception_any_more():
    assert sorted(name for name in LACKING if PLACES.get(name) in {None, *EXAMPLES}) == []


@pytest.mark.parametrize(
    "text, message",
    [
        (">>> 1 + 1\n3", "Expected:\n    3\nGot:\n    2"),
        (">>> 1 / 0", "ZeroDivisionError"),
        (">>> import asyncio\n>>> await asyncio.sleep(0, 7)\n8", "Got:\n    7"),
    ],
)
def test_an_example_that_does_not_hold_is_told_with_its_place(text, message):
    with pytest.raises(AssertionError, match=r"the example of a\.b \(b\.py\)") as caught:
        run(DocstringExample(place="a.b", text=text, file="b.py"))
    assert message in str(caught.value)


def test_an_example_may_await_block_and_fail():
    text = (
        ">>> import asyncio\n>>> x = await asyncio.sleep(0, 7)\n>>> x + asyncio.run(asyncio.sleep(0, 1))\n8\n"
        ">>> raise ax.errors.OptionError('no such option')\n"
        "Traceback (most recent call last):\nOptionError: no such option\n"
    )
    run(DocstringExample(place="a.b", text=text, file="b.py"))
