"""What people type becomes values: of Python or TOML where it can, text else."""

import pytest

from asyncexec.config.assignments import assign_setting, parse_pairs
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
        ("(1, 20)", (1, 20)),
        ("{a = 1}", {"a": 1}),
        ("inf", float("inf")),
        ("2026-01-01", "2026-01-01"),
        ("2\nother = 3", "2\nother = 3"),
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


@pytest.mark.parametrize(
    "assignment, value",
    [
        ("noise.slow_factors=[2, 3]", [2, 3]),
        ("noise.slow_factors = 0.5", 0.5),
        ("noise.slow_factors=2GB", "2GB"),
        ("noise.slow_factors=true", True),
        ("noise.slow_factors=a=b", "a=b"),
        ("noise.slow_factors=", ""),
    ],
)
def test_a_setting_is_put_into_its_section(assignment, value):
    tables = {"noise": {"slow_share": 0.5}}
    assign_setting(tables, assignment)
    assert tables == {"noise": {"slow_share": 0.5, "slow_factors": value}}
