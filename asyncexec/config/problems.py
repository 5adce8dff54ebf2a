"""Problems of a configuration as sentences, and what may be shown of its values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from asyncexec.config.fields import nearest
from asyncexec.config.layers import VERBATIM
from asyncexec.config.settings import Settings, hidden_password
from asyncexec.config.yaml_file import KeyPath
from asyncexec.masking import MASK, masked_logins

EXECUTOR: KeyPath = ("services", "compute", "executor")
DATABASE_URL: KeyPath = ("database", "url")
SECRET: tuple[KeyPath, ...] = (
    ("storage", "parameters"),
    ("engine", "storage_options"),
    ("engine", "cluster_memory", "storage_options"),
    (*EXECUTOR, VERBATIM),
)
"""Values below these keys are never shown."""


def is_secret(path: KeyPath) -> bool:
    """Return whether the value at a path is never shown."""
    return any(path[: len(each)] == each for each in SECRET)


def shown_value(path: KeyPath, value: Any) -> Any:
    """Return a value as it may be shown: what may be secret is masked."""
    if path == DATABASE_URL and isinstance(value, str):
        return hidden_password(value)
    if is_secret(path):
        return dict.fromkeys(value, MASK) if isinstance(value, Mapping) else MASK
    return masked_logins(value) if isinstance(value, str) else value


def section_at(path: KeyPath) -> type[BaseModel] | None:
    """Return the section at a path; None where there is none."""
    section: Any = Settings
    for key in path:
        known = section.model_fields.get(str(key))
        section = None if known is None else known.annotation
        if not (isinstance(section, type) and issubclass(section, BaseModel)):
            return None
    return section  # type: ignore[no-any-return] # checked at each step


def sentence_of(details: ErrorDetails, path: KeyPath) -> str:
    """Return a problem that pydantic has found as a sentence, without values that may be secret."""
    dotted = ".".join(map(str, path))
    if details["type"] == "extra_forbidden":
        section = section_at(path[:-1])
        known = list(section.model_fields) if section else []
        near = nearest(str(path[-1]), known)
        hint = f"did you mean {near[0]!r}? " if near else ""
        within = ".".join(map(str, path[:-1])) or "a configuration"
        return f"there is no key {path[-1]!r} in {within}: {hint}It has {', '.join(known)}"
    said = (
        details["msg"].removeprefix("Value error, ").removeprefix("Input ").removeprefix("String ")
    )
    if details["type"] in {"model_type", "dict_type", "model_attributes_type"}:
        said = "must map names to values"
        if path == EXECUTOR and isinstance(details["input"], str):
            said = f"must map names to values, target: {details['input']} among them"
    if not said.startswith(("must", "should")):
        return f"{dotted}: {said}"
    return f"{dotted} {said}{_value_unless_secret(path, details['input'])}"


def _value_unless_secret(path: KeyPath, value: Any) -> str:
    if path == DATABASE_URL or is_secret(path):
        return ""
    # Something secret may be in it.
    plain = not isinstance(value, Mapping | list)
    return masked_logins(f", not {value!r}") if plain else f", not be a {type(value).__name__}"
