"""NAME=VALUE options become keyword arguments."""

import pytest

from asyncexec.cli.options import parse_pairs
from asyncexec.errors import OptionError


@pytest.mark.parametrize(
    "text, value",
    [
        ("2", 2),
        ("0.5", 0.5),
        ("spawn", "spawn"),
        ("'2'", "2"),
        ("[1, 2]", [1, 2]),
        ("True", True),
        ("true", True),
        ("none", None),
        ("a=b", "a=b"),
        ("", ""),
    ],
)
def test_values_are_literals_where_they_can_be_and_text_else(text, value):
    assert parse_pairs([f"option={text}"], option="-o") == {"option": value}


@pytest.mark.parametrize("pair", ["max_workers", "=2", "max workers=2", "", "2=2"])
def test_what_is_not_a_pair_is_named(pair):
    with pytest.raises(OptionError, match=r"-o .*NAME=VALUE") as caught:
        parse_pairs([pair], option="-o")
    assert repr(pair) in str(caught.value)


def test_a_name_that_comes_twice_is_refused():
    with pytest.raises(OptionError, match="'a' twice"):
        parse_pairs(["a=1", "a=2"], option="-o")
