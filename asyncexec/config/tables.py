"""Sections of settings from a TOML file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, cast

from asyncexec.errors import OptionError

type Tables = dict[str, dict[str, Any]]
"""Sections by name, each with its keys and values."""


def read_tables(path: Path) -> Tables:
    """Return the sections of a TOML file.

    Raises
    ------
    OptionError
        If it cannot be read, is no TOML, or has keys outside of sections.
    """
    try:
        tables: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OptionError(f"the file {path} cannot be read: {error}") from error
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise OptionError(f"{path}: {name!r} stands outside of a section; begin one: [section]")
    return cast("Tables", tables)
