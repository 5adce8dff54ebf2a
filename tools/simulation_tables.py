"""Prints the manual's tables of a simulation's file: ``python -m tools.simulation_tables``."""

from __future__ import annotations

import re
from ast import literal_eval
from collections.abc import Iterator

from asyncexec.config.fields import Option, described_fields
from asyncexec.simulation.scenario import SECTIONS


def tables() -> str:
    """Return a table for each section, with all of its keys, as Markdown."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    for name, section in SECTIONS.items():
        yield f"| `[{name}]` | default | |"
        yield "|---|---|---|"
        for option in described_fields(section):
            yield f"| `{option.name}` | {_default(option)} | {_meaning(option)} |"
        yield ""


def _default(option: Option) -> str:
    if option.default is None or option.default in {"None", "()"}:
        return ""
    if option.default == "inf":
        return "no limit"
    value = literal_eval(option.default)
    if isinstance(value, tuple):
        return f"`[{', '.join(map(_toml, value))}]`"
    return f"`{_toml(value)}`"


def _toml(value: str | float) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else f"{value:g}"


def _meaning(option: Option) -> str:
    plain = re.sub(r":\w+:`~?(?:[\w.]+\.)?(\w+)`", r"`\1`", option.meaning)
    return plain.replace("``", "`").replace("|", "\\|")


if __name__ == "__main__":
    print(tables(), end="")
