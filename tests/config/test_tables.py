"""Settings stand in sections of a TOML file."""

import pytest

from asyncexec.config.tables import read_tables
from asyncexec.errors import OptionError


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
