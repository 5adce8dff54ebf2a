"""Settings are the fields of a dataclass: what is not allowed is refused by name, wherever it was said."""

import math
from dataclasses import dataclass
from typing import Literal

import pytest

from asyncexec.config.checks import Amount, Count, Memory, Rate, Share, Texts
from asyncexec.config.fields import Option, check_fields, described_fields, read_fields
from asyncexec.errors import OptionError

type Colour = Literal["red", "green", "blue"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    workers: Count = 1
    """How many.

    More."""

    share: Share = 0
    price: Amount = 0
    rate: Rate = math.inf
    colour: Colour = "red"
    memory: Memory | None = None
    names: Texts = ()

    def __post_init__(self) -> None:
        check_fields(self, "settings: ")


def read(**given):
    return read_fields(Settings, given, prefix="cluster.", section="the section [cluster]")


def test_what_is_read_is_what_python_says():
    said = {"workers": 2, "share": 0.5, "colour": "blue", "memory": "1GB", "names": ["a"]}
    assert read(**said) == Settings(**said)
    assert (Settings(**said).memory, Settings(**said).names) == (10**9, ("a",))


def test_the_first_is_described_by_its_first_paragraph():
    assert described_fields(Settings)[0] == Option(name="workers", default="1", meaning="How many.")


@pytest.mark.parametrize(
    "name, value, said",
    [
        ("workers", 0, "workers must be a whole number of at least 1, not 0"),
        ("workers", True, "workers must be a whole number of at least 1, not True"),
        ("share", 2, "share must be a number from 0 to 1, not 2"),
        ("price", math.nan, "price must be a finite number of at least 0, not nan"),
        ("price", math.inf, "price must be a finite number of at least 0, not inf"),
        ("price", -1, "price must be a number of at least 0, not -1"),
        ("rate", 0, "rate must be a number above 0, not 0"),
        ("colour", "pink", "colour must be 'red', 'green' or 'blue', not 'pink'"),
        ("memory", "much", "memory='much' is not a size"),
        ("names", ["a", 2], r"names\[1\] must be text, not 2"),
    ],
)
def test_a_value_is_refused_with_where_it_stands(name, value, said):
    with pytest.raises(OptionError, match=f"^cluster.{said}"):
        read(**{name: value})
    with pytest.raises(OptionError, match=f"^settings: {said}"):
        Settings(**{name: value})


def test_an_unknown_name_is_refused_with_the_nearest_that_is_known():
    with pytest.raises(OptionError, match=r"no 'worker' in the section \[cluster\].*'workers'"):
        read(worker=2)


def test_a_rate_may_be_without_limit():
    assert read(rate=math.inf).rate == math.inf
