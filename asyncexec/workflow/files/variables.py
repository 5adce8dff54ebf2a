"""Environment variables in the texts of a file: ``$NAME`` and ``${NAME}``; ``$$`` is a dollar sign."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from asyncexec.config.yaml_file import KeyPath

_REFERENCE = re.compile(r"\$(?:(\$)|(ref\{)|([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\})")

type Complain = Callable[[KeyPath, str], None]


def substituted(value: Any, variables: Mapping[str, str], complain: Complain) -> Any:
    """Return ``value`` with the variables in its texts replaced.

    The file has been parsed before, so that a variable's value is a text whatever it holds.

    Parameters
    ----------
    value : object
        Nested mappings, lists and scalars.
    variables : mapping of str to str
    complain : callable
        Takes the path of a text and its problem: a variable that is not set.
    """
    return _substituted(value, (), variables, complain)


def _substituted(
    value: Any, path: KeyPath, variables: Mapping[str, str], complain: Complain
) -> Any:
    if isinstance(value, Mapping):
        return {
            key: _substituted(each, (*path, key), variables, complain)
            for key, each in value.items()
        }
    if isinstance(value, list):
        return [
            _substituted(each, (*path, number), variables, complain)
            for number, each in enumerate(value)
        ]
    if not isinstance(value, str) or "$" not in value:
        return value

    def replaced(found: re.Match[str]) -> str:
        dollar, expression, bare, braced = found.groups()
        if dollar:
            return "$"
        if expression:
            complain(path, "expressions such as $ref{file|key} are not supported: write the value")
            return ""
        name = bare or braced
        if name not in variables:
            complain(
                path, f"the environment variable {name!r} is not set; $$ stands for a dollar sign"
            )
        return variables.get(name, "")

    return _REFERENCE.sub(replaced, value)
