"""Prints the manual's page about configurations: ``python -m tools.configuration_page``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from asyncexec.backends.flowdapt_targets import DASK, PROCESSES, RAY, THREADS, FlowdaptTarget
from asyncexec.config.foreign_keys import FOREIGN_KEYS
from asyncexec.config.settings import Settings

_INTRODUCTION = """\
# Configuration

<!-- Made by `python -m tools.configuration_page`; what stands here is said in the code. -->

Every key of [a configuration](../how-to/configuration.md): of a YAML file, of a mapping for `Engine.from_config`, with
dots of an override (`-o engine.memory=8GB`), and with `__` of a variable (`ASYNCEXEC__ENGINE__MEMORY=8GB`).

Settings come from five places, of which later ones replace earlier ones, key by key: defaults, the file, the dotenv
file, the environment, overrides.
An unknown key, a value of another kind and a key that comes twice are errors, all of which are told at once, each with
the file and line, the variable or the override that it stands in.

A size is a number of bytes or text (`2GB`, `512MiB`), a duration a number of seconds or text (`90s`, `1h30m`, `2d`).
Below `env_vars` names keep their case and values the text that was written (`007`, `yes`); elsewhere the names of
variables are taken in lower case.

| key | value | default | |
|---|---|---|---|
"""

_EXECUTOR = """
## The executor

The keys beside `target` are the options of that executor ([all of them](executors.md)), and those that every executor
takes. A target is

- the name of an executor: `threads`, `processes`, `ray`, …;
- a class of asyncexec by its path: `asyncexec.backends.ray.RayBackend`;
- one of Flowdapt's, see below;
- any other path, `package.module.Class` or `package.module:Class`, where `allow_targets` has a pattern for it. It must
  be the class of a backend. Without the pattern it is not imported.
"""

_FLOWDAPT = """
## Keys of Flowdapt

A file for Flowdapt is read as it is. Where its target is one of Flowdapt's, variables `FLOWDAPT__…` count as well, less
than `ASYNCEXEC__…`. Keys that have nothing to do here are refused, or accepted and told (by `asyncexec config check`,
and by a warning of the logger `asyncexec`):

| key | accepted | because |
|---|---|---|
"""

_TARGETS = """
Its executors are these. Keys that are not listed mean what the option of that name means.

| target | executor |
|---|---|
"""


def page() -> str:
    """Return the page as Markdown."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield _INTRODUCTION + "\n".join(_rows(Settings, ""))
    yield _EXECUTOR
    yield _FLOWDAPT.lstrip("\n") + "\n".join(
        f"| `{'.'.join(key.path)}` | {_accepted(key.accepted)} | {key.why} |"
        for key in FOREIGN_KEYS
    )
    yield _TARGETS + "\n".join(
        f"| `{target.path}`{more} | `{target.executor}` |"
        for target, more in (
            (PROCESSES, ""),
            (THREADS, " with `use_processes: false`"),
            (DASK, ""),
            (RAY, ""),
        )
    )
    for target in (PROCESSES, THREADS, DASK, RAY):
        yield from _target(target)


def _rows(section: type[BaseModel], above: str) -> Iterator[str]:
    for name, field in section.model_fields.items():
        inner: Any = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _rows(inner, f"{above}{name}.")
        else:
            meaning = _cell(field.description or "")
            yield f"| `{above}{name}` | {_kind(field)} | {_default(field)} | {meaning} |"


def _kind(field: FieldInfo) -> str:
    hint: Any = field.annotation
    inner = [each for each in get_args(hint) if each is not type(None)]
    text = f"{hint} {field.metadata}"
    for validator, said in (
        ("_size", "size"),
        ("_retention", "duration"),
        ("_duration", "duration"),
        ("_policy", "number, truth value or mapping"),
        ("_database_url", "path or URL"),
        ("_patterns", "list of patterns"),
    ):
        if f"function {validator}" in text:
            return said
    if get_origin(hint) is Literal or (inner and get_origin(inner[0]) is Literal):
        choices = get_args(hint if get_origin(hint) is Literal else inner[0])
        return ", ".join(f"`{choice}`" for choice in choices)
    plain = inner[0] if inner and get_origin(hint) is not dict else hint
    if get_origin(plain) is dict:
        return "mapping"
    return {bool: "`true` or `false`", int: "whole number", str: "text"}[plain]


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is None:
        return ""
    return "none" if value in ((), {}) else f"`{_plain(value)}`"


def _accepted(values: Any) -> str:
    if values is None:
        return "any value"
    return ", ".join(f"`{_plain(value)}`" for value in values if value is not None)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _target(target: FlowdaptTarget) -> Iterator[str]:
    yield ""
    yield f"### {target.path.rpartition('.')[2]} as `{target.executor}`"
    yield ""
    yield "| key | |"
    yield "|---|---|"
    for key, said in target.said.items():
        yield f"| `{key}` | {said} |"
    for key, why in target.refused.items():
        yield f"| `{key}` | refused: {why} |"


def _cell(text: str) -> str:
    plain = re.sub(r":\w+:`~?(?:[\w.]+\.)?(\w+)`", r"`\1`", " ".join(text.split()))
    return plain.replace("``", "`").replace("|", "\\|")


if __name__ == "__main__":
    print(page(), end="")
