"""Settings stand in sections of a TOML file, or are given one by one."""

import pytest

from asyncexec.config.tables import assign_setting, read_tables
from asyncexec.errors import OptionError


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
def test_an_assignment_is_a_line_of_a_file_or_plain_text(assignment, value):
    tables = {"noise": {"slow_share": 0.5}}
    assign_setting(tables, assignment)
    assert tables == {"noise": {"slow_share": 0.5, "slow_factors": value}}


@pytest.mark.parametrize(
    "text, says",
    [
        ("workers = 5", "outside of a section"),
        ("[cluster", "cannot be read"),
    ],
)
def test_a_file_that_is_none_is_refused(text, says, tmp_path):
    (tmp_path / "case.toml").write_text(text)
    with pytest.raises(OptionError, match=says):
        read_tables(tmp_path / "case.toml")
