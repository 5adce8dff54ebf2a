"""Every name of the array API standard, version 2025.12, is here, and takes what the standard says."""

import inspect
import re

import pytest

import asyncexec.array as xp
from tests.array.standard import ARRAY, SECTIONS

LINE = re.compile(r"([\w.]+)\((.*)\) (\d{4}\.12)")
FUNCTIONS = {
    name: signature
    for section in SECTIONS.values()
    for name, signature, _ in (
        LINE.fullmatch(line).groups() for line in section.split("\n") if LINE.fullmatch(line)
    )
}


def of_standard(text):
    """The parameters of a signature as the standard writes it."""
    namespace = {}
    exec(f"def function({text}): ...", {"inf": float("inf")}, namespace)
    return list(inspect.signature(namespace["function"]).parameters.values())


def found(name):
    value = xp
    for part in name.split("."):
        value = getattr(value, part)
    return value


def takes(own, wanted):
    """Whether a parameter of ours takes what that of the standard takes, in the same way."""
    by_place = own.kind in (own.POSITIONAL_ONLY, own.POSITIONAL_OR_KEYWORD, own.VAR_POSITIONAL)
    by_name = own.kind in (own.KEYWORD_ONLY, own.POSITIONAL_OR_KEYWORD) and own.name == wanted.name
    needed = {
        wanted.POSITIONAL_ONLY: by_place,
        wanted.POSITIONAL_OR_KEYWORD: by_place and by_name,
        wanted.VAR_POSITIONAL: own.kind is wanted.kind,
        wanted.KEYWORD_ONLY: by_name,
    }
    return needed[wanted.kind] and (wanted.default is wanted.empty or own.default == wanted.default)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_function_of_the_standard_takes_what_the_standard_says(name):
    ours = inspect.signature(found(name)).parameters
    in_order = iter(ours.values())
    known = set()
    for wanted in of_standard(FUNCTIONS[name]):
        own = ours.get(wanted.name) if wanted.kind is wanted.KEYWORD_ONLY else next(in_order)
        assert own is not None, wanted
        assert takes(own, wanted), (own, wanted)
        known.add(own.name)
    # What there is beyond the standard is by keyword and may be left out.
    beyond = [p for p in ours.values() if p.name not in known]
    assert all(p.kind in (p.KEYWORD_ONLY, p.VAR_KEYWORD) for p in beyond), beyond
    assert all(p.default is not p.empty or p.kind is p.VAR_KEYWORD for p in beyond), beyond


@pytest.mark.parametrize("name", ARRAY.split())
def test_an_array_has_what_the_standard_says(name):
    assert callable(getattr(xp.Array, name))


def test_the_namespace_says_what_it_can_do():
    info = xp.__array_namespace_info__()
    assert set(info.default_dtypes()) == {
        "real floating",
        "complex floating",
        "integral",
        "indexing",
    }
    assert set(info.capabilities()) == {
        "boolean indexing",
        "data-dependent shapes",
        "max dimensions",
    }
    assert info.default_device() in info.devices()
    assert set(info.dtypes(kind="bool")) == {"bool"}
